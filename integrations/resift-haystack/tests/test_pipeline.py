"""The component inside real Haystack pipelines: running, saving and tracing."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.core.errors import DeserializationError, PipelineRuntimeError
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.tracing.tracer import Span, Tracer, enable_tracing, tracer
from haystack_integrations.components.rankers.resift import ResiftRanker
from haystack_integrations.tracing.opentelemetry import OpenTelemetryTracer
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from resift import InvalidRequestError
from resift.loading import opening
from resift.loading.model import LoadedModel
from resift.testing import QUERY, TEXTS

TIMES = {"resift.load", "resift.tokenize", "resift.infer", "resift.rank", "resift.total"}
COUNTS = {
    "resift.documents",
    "resift.pairs",
    "resift.tokens",
    "resift.padded_tokens",
    "resift.truncated_documents",
    "resift.pruned_documents",
}

MakeDocuments = Callable[[], list[Document]]
Inputs = Callable[..., dict[str, Any]]
Run = Callable[[Pipeline, dict[str, Any]], dict[str, Any]]


def run_sync(pipeline: Pipeline, data: dict[str, Any]) -> dict[str, Any]:
    return pipeline.run(data)


def run_async(pipeline: Pipeline, data: dict[str, Any]) -> dict[str, Any]:
    return asyncio.run(pipeline.run_async(data))


both_ways = pytest.mark.parametrize("run", [run_sync, run_async])


def ranking_pipeline(**options: Any) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_component("ranker", ResiftRanker(**options))
    return pipeline


@pytest.fixture
def inputs(make_documents: MakeDocuments) -> Inputs:
    """Makes a pipeline's data, with more for the ranker."""

    def make(**extra: Any) -> dict[str, Any]:
        return {"ranker": {"query": QUERY, "documents": make_documents(), **extra}}

    return make


# Running


@both_ways
def test_a_pipeline_ranks_what_a_retriever_finds(run: Run, make_documents: MakeDocuments) -> None:
    store = InMemoryDocumentStore()
    store.write_documents(make_documents())
    pipeline = Pipeline()
    pipeline.add_component("retriever", InMemoryBM25Retriever(store, top_k=6))
    pipeline.add_component("ranker", ResiftRanker(top_k=3))
    pipeline.connect("retriever.documents", "ranker.documents")
    data = {"retriever": {"query": QUERY}, "ranker": {"query": QUERY}}
    kept = run(pipeline, data)["ranker"]["documents"]
    retrieved = InMemoryBM25Retriever(store, top_k=6).run(QUERY)["documents"]
    assert kept == ResiftRanker(top_k=3).run(QUERY, retrieved)["documents"]
    assert len(kept) == 3
    assert all(0 <= document.score <= 1 for document in kept)


@both_ways
def test_a_run_may_have_its_own_options(run: Run, inputs: Inputs) -> None:
    pipeline = ranking_pipeline()
    assert len(run(pipeline, inputs(top_k=2))["ranker"]["documents"]) == 2
    assert run(pipeline, inputs(score_threshold=1.1)) == {"ranker": {"documents": []}}


@both_ways
def test_errors_reach_the_caller(run: Run, inputs: Inputs) -> None:
    with pytest.raises(PipelineRuntimeError, match="top_k") as caught:
        run(ranking_pipeline(), inputs(top_k=0))
    assert isinstance(caught.value.__cause__, InvalidRequestError)


@both_ways
def test_a_pipeline_loads_the_model_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, inputs: Inputs
) -> None:
    loads: list[object] = []
    load = opening.load_model

    def counted_load(*given: Any) -> LoadedModel:
        loads.append(given)
        return load(*given)

    monkeypatch.setattr(opening, "load_model", counted_load)
    pipeline = ranking_pipeline()
    run(pipeline, inputs())
    run(pipeline, inputs())
    assert len(loads) == 1


# Saving

RANK_SAVED = """
import json, sys
from haystack import Document, Pipeline
given = json.load(sys.stdin)
pipeline = Pipeline.loads(given["pipeline"], allowed_modules=given["allowed_modules"])
documents = [Document(content=text, meta={"title": "A title"}) for text in given["texts"]]
data = {"ranker": {"query": given["query"], "documents": documents}}
result = pipeline.run(data)["ranker"]["documents"]
json.dump([[document.content, document.score] for document in result], sys.stdout)
"""


def rank_in_a_fresh_process(
    pipeline: str, folder: Path, allowed_modules: list[str]
) -> list[list[Any]]:
    given = {
        "pipeline": pipeline,
        "allowed_modules": allowed_modules,
        "texts": TEXTS,
        "query": QUERY,
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RANK_SAVED],
        input=json.dumps(given),
        capture_output=True,
        encoding="utf-8",
        check=True,
        cwd=folder,
    )
    kept: list[list[Any]] = json.loads(done.stdout)
    return kept


def test_a_saved_pipeline_ranks_the_same_in_a_fresh_process(tmp_path: Path) -> None:
    pipeline = ranking_pipeline(top_k=3, normalization="none", metadata_fields=("title",))
    titled = [Document(content=text, meta={"title": "A title"}) for text in TEXTS]
    data = {"ranker": {"query": QUERY, "documents": titled}}
    expected = [[d.content, d.score] for d in pipeline.run(data)["ranker"]["documents"]]
    assert rank_in_a_fresh_process(pipeline.dumps(), tmp_path, []) == expected


def test_a_saved_callback_is_called_in_a_fresh_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "saved_callback.py").write_text(
        "from pathlib import Path\n"
        "def record(event):\n"
        "    Path('recorded').write_text(str(event.documents), encoding='utf-8')\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    import saved_callback  # type: ignore[import-not-found]

    saved = ranking_pipeline(on_timing=saved_callback.record).dumps()
    with pytest.raises(DeserializationError, match="saved_callback"):
        Pipeline.loads(saved)
    rank_in_a_fresh_process(saved, tmp_path, ["saved_callback"])
    assert (tmp_path / "recorded").read_text(encoding="utf-8") == str(len(TEXTS))


def test_dumps_and_loads_give_the_same_pipeline() -> None:
    pipeline = ranking_pipeline(top_k=None, score_threshold=0.0, threads=1, on_timing=print)
    assert Pipeline.loads(pipeline.dumps()).to_dict() == pipeline.to_dict()


# Tracing


class SpySpan(Span):
    def __init__(self, name: str, tags: dict[str, Any]) -> None:
        self.name = name
        self.tags = tags

    def set_tag(self, key: str, value: Any) -> None:
        self.tags[key] = value


class SpyTracer(Tracer):
    def __init__(self) -> None:
        self.spans: list[SpySpan] = []
        self._current: contextvars.ContextVar[SpySpan | None] = contextvars.ContextVar(
            "current", default=None
        )

    @contextlib.contextmanager
    def trace(
        self,
        operation_name: str,
        tags: dict[str, Any] | None = None,
        parent_span: Span | None = None,
    ) -> Iterator[Span]:
        span = SpySpan(operation_name, dict(tags or {}))
        self.spans.append(span)
        token = self._current.set(span)
        try:
            yield span
        finally:
            self._current.reset(token)

    def current_span(self) -> Span | None:
        return self._current.get()


@contextlib.contextmanager
def traced_by(provided: Tracer) -> Iterator[None]:
    before = tracer.actual_tracer
    enable_tracing(provided)
    try:
        yield
    finally:
        enable_tracing(before)


@both_ways
def test_phase_times_are_tags_of_the_components_span(run: Run, inputs: Inputs) -> None:
    spy = SpyTracer()
    with traced_by(spy):
        run(ranking_pipeline(), inputs())
    pipeline_span, span = spy.spans
    assert span.tags["haystack.component.name"] == "ranker"
    assert not [name for name in pipeline_span.tags if name.startswith("resift.")]
    tags = {name: value for name, value in span.tags.items() if name.startswith("resift.")}
    assert tags.keys() >= TIMES | COUNTS
    assert None not in tags.values()
    assert all(type(tags[name]) is float for name in TIMES)
    assert tags["resift.infer"] > 0
    assert tags["resift.total"] >= sum(tags[name] for name in TIMES - {"resift.total"})
    assert tags["resift.documents"] == tags["resift.pairs"] == len(TEXTS)
    assert tags["resift.model"] == "resift-small"
    assert tags["resift.status"] == "complete"


def test_no_documents_are_traced_too() -> None:
    spy = SpyTracer()
    with traced_by(spy):
        ranking_pipeline().run({"ranker": {"query": QUERY, "documents": []}})
    assert spy.spans[-1].tags["resift.documents"] == 0
    assert None not in spy.spans[-1].tags.values()


def test_tags_hold_no_content(inputs: Inputs) -> None:
    spy = SpyTracer()
    with traced_by(spy):
        ranking_pipeline(model="resift-small").run(inputs())
    assert not any(text in str(spy.spans[-1].tags) for text in (QUERY, *TEXTS))


def test_a_tracer_that_keeps_no_spans_is_no_error(make_documents: MakeDocuments) -> None:
    with traced_by(SpyTracer()):
        assert len(ResiftRanker().run(QUERY, make_documents())["documents"]) == 5


@both_ways
def test_opentelemetry_gets_phase_times(run: Run, inputs: Inputs) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with traced_by(OpenTelemetryTracer(provider.get_tracer("test"))):
        run(ranking_pipeline(), inputs())
    (span,) = [s for s in exporter.get_finished_spans() if s.name == "haystack.component.run"]
    assert span.attributes is not None
    assert span.attributes.keys() >= TIMES | COUNTS
    assert isinstance(span.attributes["resift.infer"], float)


def test_a_tracer_finds_the_models_name() -> None:
    assert ResiftRanker().model == "resift-small"
