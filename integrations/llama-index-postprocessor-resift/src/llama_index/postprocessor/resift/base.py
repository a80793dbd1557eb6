"""``ResiftRerank``: nodes in, the most relevant of them out."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Unpack

from llama_index.core.bridge.pydantic import (
    BaseModel,
    PrivateAttr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle
from llama_index.postprocessor.resift.events import RerankTimingEvent
from llama_index.postprocessor.resift.spans import PhaseSpans

from resift import InvalidRequestError, Ranking, Reranker, RerankerOptions
from resift.adapter import (
    DATA_OPTIONS,
    DEFAULT_TOP_N,
    Adapter,
    copy_documents,
    read_documents,
)
from resift.attributes import PydanticOptions, shows_engine_options

RETRIEVAL_SCORE = "retrieval_score"

dispatcher = get_dispatcher(__name__)


class ResiftRerank(PydanticOptions, BaseNodePostprocessor):
    """Keeps the nodes most relevant to the query, best first, scored by a cross-encoder.

    Returns new ``NodeWithScore`` objects on copies of the nodes, best first, their ``score`` a
    Python float; the nodes given are never changed.

    ``top_n``: how many nodes to keep, from 1; ``None`` keeps all. ``score_threshold``: keep scores
    of at least this, on the scale of ``normalization``, before ``top_n`` is applied.

    The text scored is the node's content alone. ``metadata_fields``: names of metadata to put
    before it, one ``name: value`` line each. ``metadata_mode``: score LlamaIndex's own rendering of
    the node for that mode in place of the content alone; a ``MetadataMode`` or its value.

    The nodes' order, and their scores where they have some, are the retriever's: see ``prior``.

    ``keep_retrieval_score``: put the retriever's score, or ``None``, into
    ``metadata["retrieval_score"]`` of the copy; it is left out of the text for embeddings and LLMs.

    ``reranker``: a ready engine to share; otherwise ``options`` are the keywords of
    ``resift.Reranker``. Its ``on_timing`` and ``token`` aren't part of ``to_dict``; give them to
    ``from_dict`` again.

    All options except these two are fields. The ones above may be assigned, and so may
    ``reranker``; ``model_copy(update=…)`` takes any option, such as ``model``. Both check the
    values. Pickling keeps everything except ``token``, and raises where a callback can't be
    pickled.

    Raises ``resift.InvalidRequestError`` (a ``ValueError``) for an invalid option, or for an
    engine together with options; ``TypeError`` for an unknown option;
    ``resift.BackendUnavailableError`` for a backend that isn't installed. Reranking raises what
    ``resift.Reranker.rank`` does: ``InvalidRequestError`` for a missing or blank query, and
    ``ModelError`` or ``NonFiniteScoreError``.
    """

    # Adapter checks them: pydantic would take "2" and True as numbers.
    top_n: int | None = DEFAULT_TOP_N
    score_threshold: float | None = None
    metadata_fields: Sequence[str] = ()
    metadata_mode: MetadataMode = MetadataMode.NONE
    keep_retrieval_score: bool = False

    _adapter: Adapter = PrivateAttr()
    _checks = {  # noqa: RUF012
        "metadata_mode": lambda given: _check_metadata_mode(given),
        "keep_retrieval_score": lambda given: _check_keep_retrieval_score(given),
    }

    @shows_engine_options
    def __init__(
        self,
        *,
        top_n: int | None = DEFAULT_TOP_N,
        score_threshold: float | None = None,
        metadata_fields: Sequence[str] = (),
        metadata_mode: MetadataMode | str = MetadataMode.NONE,
        keep_retrieval_score: bool = False,
        reranker: Reranker | None = None,
        callback_manager: CallbackManager | None = None,
        **options: Unpack[RerankerOptions],
    ) -> None:
        engine: Any = {**options}
        if engine.get("class_name") == self.class_name():
            # model_dump includes the name that it is saved under.
            del engine["class_name"]
        added = self._take_added(engine)
        adapter = Adapter(
            reranker=reranker,
            top_n=top_n,
            score_threshold=score_threshold,
            metadata_fields=metadata_fields,
            options=engine,
        )
        fields = {
            **self._values(adapter),
            "callback_manager": callback_manager or CallbackManager(),
            "metadata_mode": _check_metadata_mode(metadata_mode),
            "keep_retrieval_score": _check_keep_retrieval_score(keep_retrieval_score),
        }
        super().__init__(**fields, **added)
        self._take(adapter)

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex saves it."""
        return "ResiftRerank"

    @dispatcher.span
    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        nodes = read_documents(nodes, NodeWithScore, "llama_index.core.schema.NodeWithScore")
        with self._reported(nodes, query_bundle) as kept:
            ranking = self._adapter.rank(
                _query_str(query_bundle),
                self._texts(nodes),
                first_stage_scores=[scored.score for scored in nodes],
                observer=self._phase_spans(),
            )
            kept += self._select(nodes, ranking)
        return kept

    # Only overrides of abstract methods get their span without the decorator.
    @dispatcher.span
    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        nodes = read_documents(nodes, NodeWithScore, "llama_index.core.schema.NodeWithScore")
        with self._reported(nodes, query_bundle) as kept:
            ranking = await self._adapter.arank(
                _query_str(query_bundle),
                self._texts(nodes),
                first_stage_scores=[scored.score for scored in nodes],
                observer=self._phase_spans(),
            )
            kept += self._select(nodes, ranking)
        return kept

    @contextmanager
    def _reported(
        self, nodes: Sequence[NodeWithScore], query_bundle: QueryBundle | None
    ) -> Iterator[list[NodeWithScore]]:
        """Report the start, and the end whether or not it succeeds, to both event systems.

        Yields a list for the nodes that are kept. Handlers may store an event, so each gets its own
        copies.
        """
        kept: list[NodeWithScore] = []
        model = self.model
        top_n = len(nodes) if self.top_n is None else self.top_n
        given = copy_documents(nodes, _copy, lambda scored: scored.node.metadata)
        dispatcher.event(
            ReRankStartEvent(
                query=copy.deepcopy(query_bundle), nodes=given, top_n=top_n, model_name=model
            )
        )
        try:
            payload: dict[str, Any] = {
                EventPayload.NODES: given,
                EventPayload.MODEL_NAME: model,
                EventPayload.QUERY_STR: _query_str(query_bundle),
                EventPayload.TOP_K: top_n,
            }
            with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
                yield kept
                event.on_end(payload={EventPayload.NODES: _copies(kept)})
        finally:
            dispatcher.event(ReRankEndEvent(nodes=_copies(kept)))

    def _phase_spans(self) -> PhaseSpans:
        return PhaseSpans(dispatcher, type(self).__name__)

    def _texts(self, nodes: Iterable[NodeWithScore]) -> list[Any]:
        return [
            self._adapter.text(
                scored.node.get_content(metadata_mode=self.metadata_mode), scored.node.metadata
            )
            for scored in nodes
        ]

    def _select(self, nodes: Sequence[NodeWithScore], ranking: Ranking) -> list[NodeWithScore]:
        dispatcher.event(RerankTimingEvent.of(ranking))
        kept = _copies(nodes[result.index] for result in ranking)
        for scored, result in zip(kept, ranking, strict=True):
            if self.keep_retrieval_score:
                _keep_retrieval_score(scored)
            scored.score = result.score
        return kept

    @model_serializer(mode="wrap")
    def custom_model_dump(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """The keywords that recreate this.

        ``on_timing``, ``token``, ``callback_manager`` and engine options of ``None`` are left out.
        """
        plain = {
            **self._adapter.to_dict(),
            "metadata_mode": self.metadata_mode.value,
        }
        return {
            name: plain.get(name, value)
            for name, value in super().custom_model_dump(handler, info).items()
            if name in plain or name not in DATA_OPTIONS
        }

    # BaseComponent's own methods drop what can't be pickled, and then make a default object.
    def __getstate__(self) -> dict[str, Any]:
        return BaseModel.__getstate__(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        BaseModel.__setstate__(self, state)

    # Callback managers are ignored: by default every object has a different one.
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ResiftRerank) or type(self) is not type(other):
            return NotImplemented
        return self._adapter == other._adapter and self.to_dict() == other.to_dict()

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return ((name, value) for name, value in self.to_dict().items() if name != "class_name")


def _query_str(query_bundle: QueryBundle | None) -> Any:
    # The engine refuses None like any other query that isn't a str.
    return None if query_bundle is None else query_bundle.query_str


def _copies(nodes: Iterable[NodeWithScore]) -> list[NodeWithScore]:
    return [_copy(scored) for scored in nodes]


def _copy(scored: NodeWithScore) -> NodeWithScore:
    # Vectors are long and never edited in place; an IndexNode may point to a whole index.
    shared = (scored.node.embedding, getattr(scored.node, "obj", None))
    return copy.deepcopy(scored, {id(it): it for it in shared})


def _keep_retrieval_score(scored: NodeWithScore) -> None:
    node = scored.node
    # Retrievers may have assigned a numpy number, which isn't validated and breaks JSON later.
    node.metadata[RETRIEVAL_SCORE] = None if scored.score is None else float(scored.score)
    for keys in (node.excluded_embed_metadata_keys, node.excluded_llm_metadata_keys):
        if RETRIEVAL_SCORE not in keys:
            keys.append(RETRIEVAL_SCORE)


def _check_keep_retrieval_score(given: object) -> bool:
    if not isinstance(given, bool):
        raise InvalidRequestError(f"keep_retrieval_score must be a bool: {given!r}")
    return given


def _check_metadata_mode(given: MetadataMode | str) -> MetadataMode:
    try:
        return MetadataMode(given)
    except ValueError as error:
        raise InvalidRequestError(
            f"metadata_mode must be one of {[mode.value for mode in MetadataMode]}, not {given!r}"
        ) from error
