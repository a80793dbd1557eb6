from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.callbacks import (
    CallbackManager,
    CBEventType,
    EventPayload,
    LlamaDebugHandler,
)
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.postprocessor.resift import RerankTimingEvent, ResiftRerank

from resift import InvalidRequestError, Reranker, TimingEvent
from resift.testing import QUERY, TEXTS

MakeNodes = Callable[..., list[NodeWithScore]]
Run = Callable[..., list[NodeWithScore]]


def run_sync(rerank: ResiftRerank, nodes: Any, query: str = QUERY) -> list[NodeWithScore]:
    try:
        return rerank.postprocess_nodes(nodes, query_str=query)
    finally:
        assert active_span_id.get() is None


def run_async(rerank: ResiftRerank, nodes: Any, query: str = QUERY) -> list[NodeWithScore]:
    async def run() -> list[NodeWithScore]:
        try:
            return await rerank.apostprocess_nodes(nodes, query_str=query)
        finally:
            assert active_span_id.get() is None

    return asyncio.run(run())


WAYS = pytest.mark.parametrize(
    ("run", "method"),
    [(run_sync, "_postprocess_nodes"), (run_async, "_apostprocess_nodes")],
    ids=["sync", "async"],
)


@WAYS
def test_spans_and_events_of_a_call(
    engine: Reranker, make_nodes: MakeNodes, record: Any, run: Run, method: str
) -> None:
    run(ResiftRerank(reranker=engine), make_nodes())
    span = f"ResiftRerank.{method}"
    assert record.log == [
        f"+{span}",
        "ReRankStartEvent",
        "+ResiftRerank.tokenize",
        "-ResiftRerank.tokenize",
        "+ResiftRerank.infer",
        "-ResiftRerank.infer",
        "+ResiftRerank.rank",
        "-ResiftRerank.rank",
        "RerankTimingEvent",
        "ReRankEndEvent",
        f"-{span}",
    ]
    assert record.parents == {
        span: None,
        "ResiftRerank.tokenize": span,
        "ResiftRerank.infer": span,
        "ResiftRerank.rank": span,
    }
    assert record.event_spans == [span] * 3


@WAYS
def test_the_callers_span_is_the_parent(
    engine: Reranker, make_nodes: MakeNodes, record: Any, run: Run, method: str
) -> None:
    @get_dispatcher().span
    def caller() -> None:
        before = active_span_id.get()
        rerank = ResiftRerank(reranker=engine)
        if run is run_sync:
            rerank.postprocess_nodes(make_nodes(), query_str=QUERY)
        else:
            asyncio.run(rerank.apostprocess_nodes(make_nodes(), query_str=QUERY))
        assert active_span_id.get() == before

    caller()
    (outer,) = (name for name, parent in record.parents.items() if parent is None)
    assert outer.endswith("caller")
    assert record.parents[f"ResiftRerank.{method}"] == outer
    assert record.parents["ResiftRerank.infer"] == f"ResiftRerank.{method}"


def test_loading_is_a_phase_of_the_first_call(make_nodes: MakeNodes, record: Any) -> None:
    rerank = ResiftRerank()
    run_sync(rerank, make_nodes())
    assert record.log[2:4] == ["+ResiftRerank.load", "-ResiftRerank.load"]
    assert record.parents["ResiftRerank.load"] == "ResiftRerank._postprocess_nodes"
    record.log.clear()
    run_sync(rerank, make_nodes())
    assert "+ResiftRerank.load" not in record.log


def test_concurrent_calls_keep_their_own_parents(
    engine: Reranker, make_nodes: MakeNodes, record: Any
) -> None:
    rerank = ResiftRerank(reranker=engine)

    async def run() -> None:
        await asyncio.gather(
            *(rerank.apostprocess_nodes(make_nodes(), query_str=f"{QUERY} {n}") for n in range(8))
        )

    asyncio.run(run())
    timings = record.of(RerankTimingEvent)
    assert len({event.span_id for event in timings}) == 8
    assert record.log.count("+ResiftRerank.infer") == 8


@WAYS
def test_events_have_the_query_nodes_and_model(
    engine: Reranker, make_nodes: MakeNodes, record: Any, run: Run, method: str
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
    engine: Reranker, make_nodes: MakeNodes, record: Any, top_n: int | None, told: int
) -> None:
    run_sync(ResiftRerank(reranker=engine, top_n=top_n), make_nodes())
    (start,) = record.of(ReRankStartEvent)
    assert type(start.top_n) is int
    assert start.top_n == told


@WAYS
def test_later_changes_do_not_rewrite_events(
    engine: Reranker, make_nodes: MakeNodes, record: Any, run: Run, method: str
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


@WAYS
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


@WAYS
@pytest.mark.usefixtures("fail")
def test_a_failing_model_ends_spans_and_events(
    engine: Reranker, make_nodes: MakeNodes, record: Any, run: Run, method: str
) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    rerank = ResiftRerank(reranker=engine, callback_manager=CallbackManager([debug]))
    with pytest.raises(RuntimeError, match="the model broke") as caught:
        run(rerank, make_nodes())
    span = f"ResiftRerank.{method}"
    assert record.log == [
        f"+{span}",
        "ReRankStartEvent",
        "+ResiftRerank.tokenize",
        "-ResiftRerank.tokenize",
        "+ResiftRerank.infer",
        "SpanDropEvent",
        "!ResiftRerank.infer",
        "ReRankEndEvent",
        "SpanDropEvent",
        f"!{span}",
    ]
    assert record.event_spans == [span, "ResiftRerank.infer", span, span]
    assert record.of(ReRankEndEvent)[0].nodes == []
    ((_, legacy_end),) = debug.get_event_pairs(CBEventType.RERANKING)
    assert legacy_end.payload == {EventPayload.EXCEPTION: caught.value}


@WAYS
def test_a_blank_query_ends_spans_and_events(
    engine: Reranker, make_nodes: MakeNodes, record: Any, run: Run, method: str
) -> None:
    with pytest.raises(InvalidRequestError, match="query"):
        run(ResiftRerank(reranker=engine), make_nodes(), " ")
    assert record.log[1:3] == ["ReRankStartEvent", "ReRankEndEvent"]


def test_cancelled_call_ends_its_events(
    engine: Reranker, make_nodes: MakeNodes, record: Any
) -> None:
    nodes = make_nodes([f"{text} {n}" for text in TEXTS for n in range(60)])
    debug = LlamaDebugHandler(print_trace_on_end=False)
    rerank = ResiftRerank(reranker=engine, callback_manager=CallbackManager([debug]))

    async def run() -> None:
        task = asyncio.ensure_future(rerank.apostprocess_nodes(nodes, query_str=QUERY))
        while "+ResiftRerank.infer" not in record.log:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert active_span_id.get() is None
        assert record.log[-1] == "!ResiftRerank._apostprocess_nodes"

    asyncio.run(run())
    assert record.log.count("ReRankStartEvent") == record.log.count("ReRankEndEvent") == 1
    # The worker stops after its batch, and drops its span.
    until = time.monotonic() + 20
    while record.log[-1] != "!ResiftRerank.infer" and time.monotonic() < until:
        time.sleep(0.01)
    assert record.log[-1] == "!ResiftRerank.infer"
    assert len(debug.get_event_pairs(CBEventType.RERANKING)) == 1


@WAYS
def test_legacy_callbacks_get_events(
    engine: Reranker, make_nodes: MakeNodes, run: Run, method: str
) -> None:
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


def test_a_subclass_names_its_own_spans(
    engine: Reranker, make_nodes: MakeNodes, record: Any
) -> None:
    class Mine(ResiftRerank):
        pass

    run_sync(Mine(reranker=engine), make_nodes())  # type: ignore[call-arg]
    assert record.parents["Mine.infer"] == "Mine._postprocess_nodes"


def test_on_timing_and_the_event_agree(make_nodes: MakeNodes, record: Any) -> None:
    told: list[TimingEvent] = []
    run_sync(ResiftRerank(on_timing=told.append), make_nodes())
    (event,) = record.of(RerankTimingEvent)
    assert event.model_dump(include=set(told[0].to_dict())) == {
        **told[0].to_dict(),
        "class_name": "RerankTimingEvent",
    }
