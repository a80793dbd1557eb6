"""Rerankings as third-party instrumentation records them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import BaseQueryEngine
from llama_index.core.schema import TextNode
from llama_index.postprocessor.resift import ResiftRerank

from resift import Reranker
from resift.testing import QUERY, TEXTS

trace = pytest.importorskip("opentelemetry.sdk.trace")
export = pytest.importorskip("opentelemetry.sdk.trace.export")
in_memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")

WAYS = pytest.mark.parametrize("way", ["sync", "async"])
METHOD = {"sync": "_postprocess_nodes", "async": "_apostprocess_nodes"}
QUERY_METHOD = {"sync": "_query", "async": "_aquery"}
PHASES = ["tokenize", "infer", "rank"]


@pytest.fixture
def query_engine(engine: Reranker) -> BaseQueryEngine:
    index = VectorStoreIndex(
        [TextNode(text=text) for text in TEXTS], embed_model=MockEmbedding(embed_dim=4)
    )
    return index.as_query_engine(
        llm=MockLLM(),
        similarity_top_k=len(TEXTS),
        node_postprocessors=[ResiftRerank(reranker=engine, top_n=2)],
    )


def ask(exporter: Any, query_engine: BaseQueryEngine, way: str) -> None:
    # Without the spans that embedding the documents made.
    exporter.clear()
    if way == "sync":
        query_engine.query(QUERY)
    else:
        asyncio.run(query_engine.aquery(QUERY))


def by_name(exporter: Any) -> dict[str, Any]:
    spans = exporter.get_finished_spans()
    assert len({span.context.trace_id for span in spans}) == 1
    return {span.name: span for span in spans}


def check_parents(spans: dict[str, Any], way: str) -> None:
    rerank = spans[f"ResiftRerank.{METHOD[way]}"]
    query = spans[f"RetrieverQueryEngine.{QUERY_METHOD[way]}"]
    assert rerank.parent.span_id == query.context.span_id
    for phase in PHASES:
        child = spans[f"ResiftRerank.{phase}"]
        assert child.parent.span_id == rerank.context.span_id
        assert rerank.start_time <= child.start_time <= child.end_time <= rerank.end_time
    # What comes after isn't put below the reranking.
    (synthesis,) = (span for name, span in spans.items() if name.endswith("synthesize"))
    assert synthesis.parent.span_id == query.context.span_id


@pytest.fixture
def openinference() -> Iterator[Any]:
    instrumentation = pytest.importorskip("openinference.instrumentation.llama_index")
    exporter = in_memory.InMemorySpanExporter()
    provider = trace.TracerProvider()
    provider.add_span_processor(export.SimpleSpanProcessor(exporter))
    instrumentor = instrumentation.LlamaIndexInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    if not instrumentor.is_instrumented_by_opentelemetry:
        pytest.skip("this OpenInference refuses the llama-index-core installed")
    yield exporter
    instrumentor.uninstrument()


@WAYS
def test_openinference_traces_the_reranking(
    openinference: Any, query_engine: BaseQueryEngine, way: str
) -> None:
    ask(openinference, query_engine, way)
    spans = by_name(openinference)
    check_parents(spans, way)
    said = spans[f"ResiftRerank.{METHOD[way]}"].attributes
    assert said["openinference.span.kind"] == "RERANKER"
    assert said["reranker.query"] == said["input.value"] == QUERY
    assert said["reranker.model_name"] == "resift-small"
    assert said["reranker.top_k"] == 2
    given = {said[f"reranker.input_documents.{n}.document.content"] for n in range(len(TEXTS))}
    assert given == set(TEXTS)
    assert said["reranker.output_documents.0.document.content"] == TEXTS[0]
    assert isinstance(said["reranker.output_documents.0.document.score"], float)
    assert "reranker.output_documents.2.document.content" not in said
    for phase in PHASES:
        phase_kind = spans[f"ResiftRerank.{phase}"].attributes["openinference.span.kind"]
        assert phase_kind != "RERANKER"


@WAYS
@pytest.mark.usefixtures("fail")
def test_openinference_sees_a_failure(
    openinference: Any, query_engine: BaseQueryEngine, way: str
) -> None:
    with pytest.raises(RuntimeError, match="the model broke"):
        ask(openinference, query_engine, way)
    spans = by_name(openinference)
    failed = {name for name, span in spans.items() if not span.status.is_ok}
    assert {"ResiftRerank.infer", f"ResiftRerank.{METHOD[way]}"} <= failed
    assert "ResiftRerank.tokenize" not in failed


# The integration sets the process-wide tracer provider, which can be done once.
@pytest.fixture(scope="module")
def _otel_exporter() -> Any:
    return in_memory.InMemorySpanExporter()


@pytest.fixture(scope="module")
def _otel(_otel_exporter: Any) -> tuple[Any, Any]:
    from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]

    otel = pytest.importorskip("llama_index.observability.otel")
    root = get_dispatcher()
    spans, events = list(root.span_handlers), list(root.event_handlers)
    otel.LlamaIndexOpenTelemetry(
        span_exporter=_otel_exporter, span_processor="simple"
    ).start_registering()
    handlers = root.span_handlers[-1], root.event_handlers[-1]
    root.span_handlers[:], root.event_handlers[:] = spans, events
    return handlers


@pytest.fixture
def opentelemetry(_otel: tuple[Any, Any], _otel_exporter: Any) -> Any:
    from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]

    get_dispatcher().add_span_handler(_otel[0])
    get_dispatcher().add_event_handler(_otel[1])
    return _otel_exporter


@WAYS
def test_llama_index_opentelemetry_traces_the_reranking(
    opentelemetry: Any, query_engine: BaseQueryEngine, way: str
) -> None:
    ask(opentelemetry, query_engine, way)
    spans = by_name(opentelemetry)
    check_parents(spans, way)
    events = {event.name: event for event in spans[f"ResiftRerank.{METHOD[way]}"].events}
    assert list(events) == ["ReRankStartEvent", "RerankTimingEvent", "ReRankEndEvent"]
    said = events["RerankTimingEvent"].attributes
    assert said["documents"] == said["pairs"] == len(TEXTS)
    assert said["padded_tokens"] >= said["tokens"] > 0
    assert said["truncated_documents"] == 0
    assert said["total"] >= said["tokenize"] + said["infer"] + said["rank"] > 0
    assert said["model"] == "resift-small"
    assert json.loads(events["ReRankEndEvent"].attributes["nodes"])[0]["node"]["text"] == TEXTS[0]


@WAYS
@pytest.mark.usefixtures("fail")
def test_llama_index_opentelemetry_sees_a_failure(
    opentelemetry: Any, query_engine: BaseQueryEngine, way: str
) -> None:
    with pytest.raises(RuntimeError, match="the model broke"):
        ask(opentelemetry, query_engine, way)
    spans = by_name(opentelemetry)
    rerank = spans[f"ResiftRerank.{METHOD[way]}"]
    assert spans["ResiftRerank.infer"].parent.span_id == rerank.context.span_id
    assert not spans["ResiftRerank.infer"].status.is_ok
    assert not rerank.status.is_ok
    names = [event.name for event in rerank.events]
    assert names.count("ReRankStartEvent") == names.count("ReRankEndEvent") == 1
    assert "RerankTimingEvent" not in names
