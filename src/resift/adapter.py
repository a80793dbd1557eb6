"""Shared by all adapters: reading and copying documents, one text format, the calls to the engine.

``resift.attributes`` makes their options attributes of the adapters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy, deepcopy
from typing import Any, TypeVar

from resift.checks import check_positive_int, check_text
from resift.errors import InvalidRequestError
from resift.given import check_names
from resift.keywords import RerankerOptions, SharedOptions
from resift.normalization import check_normalization
from resift.options import RankOptions, Token, adapter_defaults, declared, defaults
from resift.prior import check_prior
from resift.ranking import Ranking
from resift.request import describe, read_once
from resift.reranker import Reranker
from resift.telemetry import Observer

__all__ = [
    "DATA_OPTIONS",
    "DEFAULT_TOP_N",
    "Adapter",
    "SharedOptions",
    "Token",
    "check_positive_int",
    "check_text",
    "copy_documents",
    "describe",
    "read_documents",
    "read_once",
]

DEFAULT_TOP_N = 5
"""The number of documents that an adapter keeps by default."""

DATA_OPTIONS: Mapping[str, Any] = {
    name: default
    for name, default in adapter_defaults().items()
    if name in RerankerOptions.__annotations__ and declared()[name].kind == "data"
}
"""The engine's options that can be shown and saved, with their defaults in adapters."""

_ENGINE_DEFAULTS = defaults("made")
_OTHERS = {name: x for name, x in adapter_defaults().items() if x != _ENGINE_DEFAULTS[name]}
"""The defaults that are other than the engine's own."""

Document = TypeVar("Document")


class Adapter:
    """An engine with an adapter's own options: the part that is the same in every framework.

    ``reranker`` is a ready engine, or ``options`` are the keywords for a new one; giving both
    raises ``InvalidRequestError``, as do invalid values. ``top_n=None`` keeps all.
    ``metadata_fields`` are names of metadata to put before each text. Immutable: ``changed``
    returns another.
    """

    def __init__(
        self,
        *,
        reranker: Reranker | None,
        top_n: int | None,
        score_threshold: float | None,
        metadata_fields: Sequence[str],
        options: RerankerOptions,
    ) -> None:
        refuse_scorer(options)
        check_names(options, RerankerOptions)
        if reranker is not None and options:
            raise InvalidRequestError(
                f"give either a ready reranker= or the options for a new one, not both: "
                f"got a reranker and {sorted(options)}"
            )
        if reranker is not None:
            _check_reranker(reranker)
        if isinstance(metadata_fields, str) or not (
            isinstance(metadata_fields, Sequence)
            and all(isinstance(name, str) for name in metadata_fields)
        ):
            raise InvalidRequestError(
                f"metadata_fields must be a sequence of str, such as ('title',): "
                f"{metadata_fields!r}"
            )
        # Raises when the adapter is made, not at its first call.
        checked = RankOptions(top_n=top_n, score_threshold=score_threshold)
        made: Any = {**_OTHERS, **options}
        self.reranker = Reranker(**made) if reranker is None else reranker
        self.top_n = checked.top_n
        self._threshold = checked.score_threshold
        self.metadata_fields = tuple(metadata_fields)

    @property
    def score_threshold(self) -> float | None:
        """The adapter's own threshold, or else the engine's, which ``to_dict`` has to keep."""
        own: float | None = self.reranker.options.get("score_threshold")
        return own if self._threshold is None else self._threshold

    def changed(self, changes: Mapping[str, Any]) -> Adapter:
        """Return an ``Adapter`` with these changes; changed engine options make a new engine.

        Raises ``InvalidRequestError`` for invalid values, and for a threshold of ``None`` where the
        engine has one.
        """
        known = RerankerOptions.__annotations__
        options = {name: value for name, value in changes.items() if name in known}
        given = changes.get("reranker", self.reranker)
        _check_reranker(given)
        if options and "reranker" not in changes:
            given = self.reranker._with_options(**options)
            options = {}
        result = Adapter(
            reranker=given,
            top_n=changes.get("top_n", self.top_n),
            score_threshold=changes.get("score_threshold", self._threshold),
            metadata_fields=changes.get("metadata_fields", self.metadata_fields),
            options=options,  # type: ignore[arg-type]
        )
        if changes.get("score_threshold", ...) is None and result.score_threshold is not None:
            raise InvalidRequestError(
                "score_threshold=None leaves the threshold to the reranker, which was made with "
                f"{result.score_threshold}; give a number, or a reranker made without a threshold"
            )
        return result

    def values(self) -> dict[str, Any]:
        """All options that are data, including the engine's, by name."""
        given = self._engine_options()
        engine = {name: copy(given.get(name, _ENGINE_DEFAULTS[name])) for name in DATA_OPTIONS}
        return {
            **engine,
            "normalization": check_normalization(engine["normalization"]),
            "prior": check_prior(engine["prior"]),
            "top_n": self.top_n,
            "score_threshold": self.score_threshold,
            "metadata_fields": self.metadata_fields,
        }

    def text(self, content: Any, metadata: Mapping[str, Any]) -> Any:
        """The text to score: one ``name: value`` line for each field present, then the content.

        Content that is ``None`` counts as ``""``; any other that isn't a string is returned as it
        is, for the engine to refuse.
        """
        if content is not None and not isinstance(content, str):
            return content
        present = (name for name in self.metadata_fields if metadata.get(name) is not None)
        return "\n".join([*(f"{name}: {metadata[name]}" for name in present), content or ""])

    def rank(
        self,
        query: str,
        texts: Sequence[str | None],
        *,
        first_stage_scores: Sequence[float | None] | None = None,
        top_n: int | None = None,
        score_threshold: float | None = None,
        observer: Observer | None = None,
    ) -> Ranking:
        """``Reranker.rank`` with the adapter's options where the call gives none."""
        return self.reranker.rank(
            query,
            texts,
            first_stage_scores=_scores(first_stage_scores),
            observer=observer,
            **self._call_options(top_n, score_threshold),
        )

    async def arank(
        self,
        query: str,
        texts: Sequence[str | None],
        *,
        first_stage_scores: Sequence[float | None] | None = None,
        top_n: int | None = None,
        score_threshold: float | None = None,
        observer: Observer | None = None,
    ) -> Ranking:
        """``Reranker.arank`` with the adapter's options where the call gives none."""
        return await self.reranker.arank(
            query,
            texts,
            first_stage_scores=_scores(first_stage_scores),
            observer=observer,
            **self._call_options(top_n, score_threshold),
        )

    def to_dict(self) -> dict[str, Any]:
        """The keywords that recreate this, for a framework that saves its components.

        All are strings, numbers, lists and dicts, except ``on_timing``. A ready ``reranker`` is
        described by its own options, one with a ``scorer`` by the model that the scorer names.
        """
        return {
            **self._engine_options(),
            "top_n": self.top_n,
            "score_threshold": self.score_threshold,
            "metadata_fields": list(self.metadata_fields),
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Adapter):
            return NotImplemented
        scorers = [each.reranker.options.get("scorer") for each in (self, other)]
        return scorers[0] is scorers[1] and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def _engine_options(self) -> dict[str, Any]:
        options = self.reranker.options
        scorer = options.pop("scorer", None)
        # What is None here isn't what an adapter has by default.
        options = {**dict.fromkeys(_OTHERS), **options}
        return options if scorer is None else {"model": scorer.source.model, **options}

    def _call_options(self, top_n: int | None, score_threshold: float | None) -> dict[str, Any]:
        return {
            "top_n": self.top_n if top_n is None else top_n,
            "score_threshold": self.score_threshold if score_threshold is None else score_threshold,
        }


def read_documents(given: Iterable[Document], kind: type[Document], name: str) -> list[Document]:
    """Read an iterable of documents once; ``name`` is what users call ``kind``.

    Raises ``InvalidRequestError`` for anything else, naming the first wrong element by its index.
    """
    documents = read_once("documents", given, name)
    for index, document in enumerate(documents):
        if not isinstance(document, kind):
            raise InvalidRequestError(
                f"documents[{index}] must be a {name}, not {describe(document)}"
            )
    return documents


def copy_documents(
    documents: Iterable[Document],
    make_copy: Callable[[Document], Document],
    metadata: Callable[[Document], Mapping[str, Any]],
) -> list[Document]:
    """Copy each document with ``make_copy``, before the model runs: a failure then costs nothing.

    Raises ``InvalidRequestError`` for a document that can't be copied, naming its index and, where
    its ``metadata`` is the reason, the key.
    """
    copies = []
    for index, document in enumerate(documents):
        try:
            copies.append(make_copy(document))
        except Exception as error:
            keys = [key for key, value in metadata(document).items() if not _can_be_copied(value)]
            raise InvalidRequestError(
                f"documents[{index}] can't be copied"
                f"{f', for what its metadata has under {keys[0]!r}' if keys else ''}: {error}. "
                "Results are copies, so that documents stay as they are: leave out what can't be "
                "copied"
            ) from error
    return copies


def _can_be_copied(value: object) -> bool:
    try:
        deepcopy(value)
    # Whatever it raises, the document's own error names it.
    except Exception:
        return False
    return True


def _scores(given: Sequence[float | None] | None) -> Sequence[float | None] | None:
    """The scores of a retriever, or ``None`` where no document has one."""
    return None if given is None or all(each is None for each in given) else given


def refuse_scorer(given: Mapping[str, Any]) -> None:
    """Raise ``InvalidRequestError`` for a ``scorer`` among options, saying where it goes."""
    if "scorer" in given:
        raise InvalidRequestError(
            "scorer is the reranker's: give or assign reranker= a resift.Reranker(scorer=…)"
        )


def _check_reranker(given: object) -> None:
    if not isinstance(given, Reranker):
        raise InvalidRequestError(
            f"reranker must be a resift.Reranker, not {given!r}; for other options, make a new one"
        )
