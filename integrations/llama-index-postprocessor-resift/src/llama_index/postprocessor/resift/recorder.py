"""``ResiftRecorder``: an event handler that records what was found, and how it was ranked."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.instrumentation.events.retrieval import RetrievalEndEvent
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle
from llama_index.postprocessor.resift.events import RerankTimingEvent

from resift import InvalidRequestError, Ranking
from resift.adapter import check_text
from resift.recording import Recorder

_OPEN = 1000
"""The most rerankings that may have begun and not ended: some rerankers never say their end."""


class ResiftRecorder(BaseEventHandler):
    """Records each query with the nodes that were found for it, for ``resift evaluate``.

    For ``get_dispatcher().add_event_handler(ResiftRecorder(recorder))``. Each reranking by
    ``ResiftRerank`` is recorded: the nodes that it was given with their scores, and their places,
    scores and logits. ``retriever``: the class of retrievers whose nodes to record instead, such as
    ``"VectorIndexRetriever"``, which works before there is a reranker.

    ``recorder``: a ``resift.recording.Recorder``. Raises ``InvalidRequestError`` for an invalid
    option; recording raises nothing.
    """

    _recorder: Recorder = PrivateAttr()
    _retriever: str | None = PrivateAttr()
    _open: OrderedDict[str, ReRankStartEvent] = PrivateAttr(default_factory=OrderedDict)
    _lock: Any = PrivateAttr(default_factory=Lock)

    def __init__(self, recorder: Recorder, *, retriever: str | None = None) -> None:
        super().__init__()
        if not isinstance(recorder, Recorder):
            raise InvalidRequestError(
                f"recorder must be a resift.recording.Recorder, not {recorder!r}"
            )
        self._recorder = recorder
        self._retriever = check_text("retriever", retriever)

    @classmethod
    def class_name(cls) -> str:
        """The handler's name."""
        return "ResiftRecorder"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:  # noqa: ARG002
        """Record what an event says of a retrieval or a reranking; others are ignored."""
        span = event.span_id or ""
        if self._retriever is not None:
            # A span's name begins with its class.
            if isinstance(event, RetrievalEndEvent) and span.startswith(f"{self._retriever}."):
                self._record(event.str_or_query_bundle, event.nodes)
        elif isinstance(event, ReRankStartEvent):
            with self._lock:
                self._open[span] = event
                if len(self._open) > _OPEN:
                    self._open.popitem(last=False)
        elif isinstance(event, RerankTimingEvent):
            with self._lock:
                start = self._open.pop(span, None)
            if start is not None and start.query is not None:
                self._record(start.query, start.nodes, event.ranking)
        elif isinstance(event, ReRankEndEvent):
            with self._lock:
                self._open.pop(span, None)

    def _record(
        self,
        query: QueryBundle | str,
        nodes: Sequence[NodeWithScore],
        ranking: Ranking | None = None,
    ) -> None:
        self._recorder.record(
            query if isinstance(query, str) else query.query_str,
            (scored.node.get_content(metadata_mode=MetadataMode.NONE) for scored in nodes),
            ids=(scored.node.node_id for scored in nodes),
            first_stage_scores=(scored.score for scored in nodes),
            ranking=ranking,
        )
