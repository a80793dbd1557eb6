"""Events of a call: the query, the nodes and the times that they tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.callbacks import (
    CallbackManager,
    CBEventType,
    EventPayload,
    LlamaDebugHandler,
)
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.postprocessor.resift import RerankTimingEvent, ResiftRerank

from resift import Reranker, TimingEvent
from resift.testing import QUERY, TEXTS

MakeNodes = Callable[..., list[NodeWithScore]]
Run = Callable[..., list[NodeWithScore]]


def test_events_have_the_query_nodes_and_model(
    engine: Reranker, make_nodes: MakeNodes, record: Any, run: Run
) -> None:
    nodes = make_nodes()
    results = run(ResiftRerank(reranker=engine, top_n=3), nodes)
    start, timing, end = record.events
    assert isinstance(start, ReRankStartEvent)
    assert start.query == QueryBundle(QUERY)
    assert start.nodes == nodes
    assert start.top_n == 3
    assert start.model_name == "resift-small"
    assert isinstance(timing, RerankTimingEvent)
    assert timing.model == "resift-small"
    assert timing.status == "complete"
    assert timing.documents == timing.pairs == len(TEXTS)
    assert timing.padded_tokens >= timing.tokens > 0
    assert timing.total >= timing.tokenize + timing.infer + timing.rank > 0
    assert timing.infer > 0
    assert timing.load == 0
    assert isinstance(end, ReRankEndEvent)
    assert end.nodes == results


def test_the_timing_event_has_the_engines_fields() -> None:
    own = set(RerankTimingEvent.model_fields) - set(BaseEvent.model_fields)
    assert own == {field.name for field in dataclasses.fields(TimingEvent)}


@pytest.mark.parametrize(("top_n", "told"), [(None, len(TEXTS)), (2, 2), (100, 100)])
def test_start_tells_top_n_as_a_number(
    engine: Reranker,
    make_nodes: MakeNodes,
    record: Any,
    top_n: int | None,
    told: int,
    run_sync: Run,
) -> None:
    run_sync(ResiftRerank(reranker=engine, top_n=top_n), make_nodes())
    (start,) = record.of(ReRankStartEvent)
    assert type(start.top_n) is int
    assert start.top_n == told


def test_later_changes_do_not_rewrite_events(
    engine: Reranker, make_nodes: MakeNodes, record: Any, run: Run
) -> None:
    nodes = make_nodes()
    debug = LlamaDebugHandler(print_trace_on_end=False)
    rerank = ResiftRerank(reranker=engine, callback_manager=CallbackManager([debug]))
    results = run(rerank, nodes)
    start, _, end = record.events
    ((legacy_start, legacy_end),) = debug.get_event_pairs(CBEventType.RERANKING)
    assert legacy_start.payload
    assert legacy_end.payload
    seen = [
        start.nodes,
        end.nodes,
        legacy_start.payload[EventPayload.NODES],
        legacy_end.payload[EventPayload.NODES],
    ]
    before = [[node.to_dict() for node in told] for told in seen]
    for node in [*nodes, *results]:
        node.score = -1.0
        node.metadata["nested"]["tags"].append("changed")
        node.node.set_content("changed")
    nodes.clear()
    results.clear()
    assert [[node.to_dict() for node in told] for told in seen] == before


def test_no_nodes_have_events_and_no_phases(
    engine: Reranker, record: Any, run: Run, method: str
) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    rerank = ResiftRerank(reranker=engine, top_n=None, callback_manager=CallbackManager([debug]))
    assert run(rerank, []) == []
    span = f"ResiftRerank.{method}"
    assert record.log == [
        f"+{span}",
        "ReRankStartEvent",
        "RerankTimingEvent",
        "ReRankEndEvent",
        f"-{span}",
    ]
    start, timing, end = record.events
    assert start.top_n == timing.documents == 0
    assert end.nodes == []
    assert len(debug.get_event_pairs(CBEventType.RERANKING)) == 1


def test_legacy_callbacks_get_events(engine: Reranker, make_nodes: MakeNodes, run: Run) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    rerank = ResiftRerank(reranker=engine, top_n=2, callback_manager=CallbackManager([debug]))
    nodes = make_nodes()
    results = run(rerank, nodes)
    ((start, end),) = debug.get_event_pairs(CBEventType.RERANKING)
    assert start.payload == {
        EventPayload.NODES: nodes,
        EventPayload.MODEL_NAME: "resift-small",
        EventPayload.QUERY_STR: QUERY,
        EventPayload.TOP_K: 2,
    }
    assert end.payload == {EventPayload.NODES: results}


def test_on_timing_and_the_event_agree(make_nodes: MakeNodes, record: Any, run_sync: Run) -> None:
    told: list[TimingEvent] = []
    run_sync(ResiftRerank(on_timing=told.append), make_nodes())
    (event,) = record.of(RerankTimingEvent)
    assert event.model_dump(include=set(told[0].to_dict())) == {
        **told[0].to_dict(),
        "class_name": "RerankTimingEvent",
    }
