"""``ResiftReranker``: documents in, the most relevant of them out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypedDict, Unpack

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda, ensure_config
from langchain_core.runnables.config import (
    get_async_callback_manager_for_config,
    get_callback_manager_for_config,
)
from pydantic import ConfigDict, PrivateAttr

from langchain_resift.options import Options, plain, plain_token
from resift import Ranking, Reranker
from resift.adapter import (
    DEFAULT_TOP_N,
    Adapter,
    check_text,
    copy_documents,
    read_documents,
)
from resift.attributes import PydanticOptions, shows_engine_options

_SCORE_KEY = "relevance_score"


class ResiftReranker(PydanticOptions, BaseDocumentCompressor):
    """Keeps the documents most relevant to a query, best first, scored by a cross-encoder.

    For ``ContextualCompressionRetriever(base_compressor=ResiftReranker(), base_retriever=…)``, or
    to call directly. Returns copies: ``id`` kept, the score in ``metadata["relevance_score"]``,
    nothing shared with the documents given.

    ``top_n``: how many to keep, from 1; ``None`` keeps all. ``score_threshold``: keep scores of at
    least this, before ``top_n`` is applied; ``None`` keeps all. ``metadata_fields``: names of
    metadata to put before the text of each document that has them, one ``name: value`` line each.
    ``first_stage_score_field``: the name of the metadata that has the retriever's score, a number,
    for a fitted ``prior``; documents without it are taken to have no score.
    ``reranker``: a ready ``resift.Reranker``, which may be shared; otherwise ``options`` are its
    keywords, such as ``model=``, ``token=`` or ``on_timing=``. The model is loaded at the first
    call.

    All of them except ``reranker``, ``token`` and ``on_timing`` are fields. ``top_n``,
    ``score_threshold``, ``metadata_fields``, ``first_stage_score_field`` and ``reranker`` may be
    assigned, and
    ``model_copy(update=…)`` takes any option; both check the values. ``model_dump()`` returns the
    keywords that recreate it.

    Raises ``InvalidRequestError`` (a ``ValueError``) for an invalid option, or for ``options``
    together with a ``reranker``; ``TypeError`` for an unknown option; ``BackendUnavailableError``
    for a backend that isn't installed.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    # Adapter checks them: pydantic would take "2" and True as numbers.
    top_n: int | None = DEFAULT_TOP_N
    """The number of documents to keep; ``None`` for all."""
    score_threshold: float | None = None
    """The lowest score to keep; ``None`` for all."""
    metadata_fields: Sequence[str] = ()
    """Names of the metadata put before each text."""
    first_stage_score_field: str | None = None
    """Name of the metadata that has the retriever's score."""

    _adapter: Adapter = PrivateAttr()
    _checks = {  # noqa: RUF012
        "token": plain_token,
        "first_stage_score_field": partial(check_text, "first_stage_score_field"),
    }

    @shows_engine_options
    def __init__(
        self,
        *,
        top_n: int | None = DEFAULT_TOP_N,
        score_threshold: float | None = None,
        metadata_fields: Sequence[str] = (),
        first_stage_score_field: str | None = None,
        reranker: Reranker | None = None,
        **options: Unpack[Options],
    ) -> None:
        engine: dict[str, Any] = {**options}
        added = self._take_added(engine)
        adapter = Adapter(
            reranker=reranker,
            top_n=top_n,
            score_threshold=score_threshold,
            metadata_fields=metadata_fields,
            options=plain(engine),
        )
        field = self._checks["first_stage_score_field"](first_stage_score_field)
        fields = {**self._values(adapter), "first_stage_score_field": field}
        super().__init__(**fields, **added)
        self._take(adapter)

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """Return copies of the documents most relevant to ``query``, best first.

        ``documents`` may be any iterable, which is read once. ``callbacks`` get a retriever run,
        from the query to the documents kept, and in it the engine's run, from the query and all
        documents to the ``Ranking``. ``None`` takes the callbacks of the surrounding runnable.

        Raises ``InvalidRequestError``, ``ModelError``, ``BackendUnavailableError`` or
        ``NonFiniteScoreError``, from ``resift``.
        """
        manager = get_callback_manager_for_config(_config(callbacks))
        run = manager.on_retriever_start({}, query, name=type(self).__name__)
        try:
            given = _read(documents)
            ranking = self._engine_run().invoke(
                {"query": query, "documents": given.documents}, {"callbacks": run.get_child()}
            )
            kept = _kept(given.copies, ranking)
        except BaseException as error:
            run.on_retriever_error(error)
            raise
        run.on_retriever_end(kept)
        return kept

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """``compress_documents`` without blocking the event loop.

        When cancelled, it stops after the current batch.
        """
        manager = get_async_callback_manager_for_config(_config(callbacks))
        run = await manager.on_retriever_start({}, query, name=type(self).__name__)
        try:
            given = _read(documents)
            ranking = await self._engine_run().ainvoke(
                {"query": query, "documents": given.documents}, {"callbacks": run.get_child()}
            )
            kept = _kept(given.copies, ranking)
        except BaseException as error:
            await run.on_retriever_error(error)
            raise
        await run.on_retriever_end(kept)
        return kept

    def _engine_run(self) -> Runnable[_Request, Ranking]:
        # A retriever run has no place for input documents: its only input is the query. They don't
        # belong in its metadata either, which tracers that hide inputs still show.
        engine = self._adapter

        def texts(request: _Request) -> list[str | None]:
            return [engine.text(each.page_content, each.metadata) for each in request["documents"]]

        def scores(request: _Request) -> list[float | None] | None:
            name = self.first_stage_score_field
            if name is None:
                return None
            return [each.metadata.get(name) for each in request["documents"]]

        def rank(request: _Request) -> Ranking:
            return engine.rank(request["query"], texts(request), first_stage_scores=scores(request))

        async def arank(request: _Request) -> Ranking:
            return await engine.arank(
                request["query"], texts(request), first_stage_scores=scores(request)
            )

        return RunnableLambda(rank, arank, name="Reranker.rank")

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        shown = {*self._names, *self._added_fields()}
        if self.first_stage_score_field is None:
            shown.remove("first_stage_score_field")
        yield from (item for item in super().__repr_args__() if item[0] in shown)
        yield "reranker", self.reranker


class _Request(TypedDict):
    query: str
    documents: Sequence[Document]


def _config(callbacks: Callbacks | None) -> RunnableConfig:
    return ensure_config({"callbacks": callbacks})


class _Documents(NamedTuple):
    documents: list[Document]
    copies: list[Document]


def _read(documents: Iterable[Document]) -> _Documents:
    given = read_documents(documents, Document, "langchain_core.documents.Document")
    copies = copy_documents(
        given, lambda each: each.model_copy(deep=True), lambda each: each.metadata
    )
    return _Documents(given, copies)


def _kept(copies: Sequence[Document], ranking: Ranking) -> list[Document]:
    kept = [copies[result.index] for result in ranking]
    for document, result in zip(kept, ranking, strict=True):
        document.metadata[_SCORE_KEY] = result.score
    return kept
