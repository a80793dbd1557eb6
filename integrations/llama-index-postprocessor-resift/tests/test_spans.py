"""Spans of a call: its phases, their parents, and that each of them ends."""

from __future__ import annotations

import asyncio
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
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.schema import NodeWithScore
from llama_index.postprocessor.resift import RerankTimingEvent, ResiftRerank

from resift import InvalidRequestError, Reranker
from resift.testing import QUERY, TEXTS

MakeNodes = Callable[..., list[NodeWithScore]]
Run = Callable[..., list[NodeWithScore]]


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


def test_the_callers_span_is_the_parent(
    engine: Reranker, make_nodes: MakeNodes, record: Any, run: Run, method: str, run_sync: Run
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


def test_loading_is_a_phase_of_the_first_call(
    make_nodes: MakeNodes, record: Any, run_sync: Run
) -> None:
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


def test_a_blank_query_ends_spans_and_events(
    engine: Reranker, make_nodes: MakeNodes, record: Any, run: Run
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


def test_a_subclass_names_its_own_spans(
    engine: Reranker, make_nodes: MakeNodes, record: Any, run_sync: Run
) -> None:
    class Mine(ResiftRerank):
        pass

    run_sync(Mine(reranker=engine), make_nodes())  # type: ignore[call-arg]
    assert record.parents["Mine.infer"] == "Mine._postprocess_nodes"
