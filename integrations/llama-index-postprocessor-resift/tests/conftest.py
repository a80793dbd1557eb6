"""Records of spans and events, a loaded engine, nodes, and both ways to rerank them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.span import BaseSpan, active_span_id
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.resift import ResiftRerank
from pydantic import PrivateAttr

from resift import Reranker
from resift.testing import QUERY, TEXTS

Run = Callable[..., list[NodeWithScore]]


@dataclass
class Record:
    """The spans and events of the dispatcher, in order."""

    log: list[str] = field(default_factory=list)
    """``"+name"`` where a span opens, ``"-name"`` where it ends, ``"!name"`` where it is
    dropped, and the names of events."""
    parents: dict[str, str | None] = field(default_factory=dict)
    """The name of each span's parent."""
    events: list[BaseEvent] = field(default_factory=list)
    event_spans: list[str | None] = field(default_factory=list)
    """The name of the span that each event was sent in."""

    def of(self, kind: type[BaseEvent]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def _name(id_: str | None) -> str | None:
    return id_ and id_.partition("-")[0]


class RecordingSpanHandler(BaseSpanHandler[BaseSpan]):
    _record: Record = PrivateAttr()

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record

    def new_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any = None,
        parent_span_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> BaseSpan:
        name = _name(id_)
        assert name
        self._record.log.append(f"+{name}")
        self._record.parents[name] = _name(parent_span_id)
        return BaseSpan(id_=id_, parent_id=parent_span_id)

    def prepare_to_exit_span(self, id_: str, *args: Any, **kwargs: Any) -> BaseSpan | None:
        self._record.log.append(f"-{_name(id_)}")
        return self.open_spans.get(id_)

    def prepare_to_drop_span(self, id_: str, *args: Any, **kwargs: Any) -> BaseSpan | None:
        self._record.log.append(f"!{_name(id_)}")
        return self.open_spans.get(id_)


class RecordingEventHandler(BaseEventHandler):
    _record: Record = PrivateAttr()

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        self._record.log.append(event.class_name())
        self._record.events.append(event)
        self._record.event_spans.append(_name(event.span_id))


@pytest.fixture(autouse=True)
def _no_handlers_stay() -> Iterator[None]:
    root = get_dispatcher()
    spans, events = list(root.span_handlers), list(root.event_handlers)
    yield
    root.span_handlers[:] = spans
    root.event_handlers[:] = events


@pytest.fixture
def record() -> Iterator[Record]:
    """Record the dispatcher during the test; every span must have ended after it."""
    record = Record()
    spans = RecordingSpanHandler(record)
    root = get_dispatcher()
    root.add_span_handler(spans)
    root.add_event_handler(RecordingEventHandler(record))
    yield record
    assert spans.open_spans == {}


@pytest.fixture(scope="session")
def engine() -> Reranker:
    """One loaded engine, so that no test but those of the contract waits for a model."""
    reranker = Reranker()
    reranker.warm_up()
    return reranker


@pytest.fixture
def make_nodes() -> Callable[..., list[NodeWithScore]]:
    def make(texts: Sequence[str] = TEXTS, score: float | None = 0.25) -> list[NodeWithScore]:
        return [
            NodeWithScore(
                node=TextNode(
                    text=text, id_=f"node-{n}", metadata={"page": n, "nested": {"tags": [n]}}
                ),
                score=score,
            )
            for n, text in enumerate(texts)
        ]

    return make


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every forward pass raise."""
    from resift.backends.onnx import OnnxBackend

    def forward(*_: object) -> None:
        raise RuntimeError("the model broke")

    monkeypatch.setattr(OnnxBackend, "forward", forward)


def _run_sync(rerank: ResiftRerank, nodes: Any, query: str = QUERY) -> list[NodeWithScore]:
    try:
        return rerank.postprocess_nodes(nodes, query_str=query)
    finally:
        assert active_span_id.get() is None


def _run_async(rerank: ResiftRerank, nodes: Any, query: str = QUERY) -> list[NodeWithScore]:
    async def run() -> list[NodeWithScore]:
        try:
            return await rerank.apostprocess_nodes(nodes, query_str=query)
        finally:
            assert active_span_id.get() is None

    return asyncio.run(run())


@pytest.fixture
def run_sync() -> Run:
    """Rerank synchronously; no span may stay open."""
    return _run_sync


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Run:
    """Rerank in each of both ways; no span may stay open."""
    return {"sync": _run_sync, "async": _run_async}[request.param]


@pytest.fixture
def method(run: Run) -> str:
    """The method that LlamaIndex calls in that way."""
    return "_postprocess_nodes" if run is _run_sync else "_apostprocess_nodes"
