"""The vocabulary that all wire shapes share: requests, answers, failures and limits.

Everything is data in resift's own words. A shape says each of these in a server's words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Any
"""What ``json.loads`` returns: dicts, lists, strings, numbers, bools and ``None``."""


class WireError(ValueError):
    """A body isn't what its shape asks for, or a request can't be said in a shape.

    The message names the key and what was expected of it. It repeats no text of the body.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class WireQuery:
    """A query and its documents."""

    query: str
    documents: tuple[str | None, ...]
    """The texts to rank; ``None`` only in resift's own shape, where it stands for ``""``."""
    originals: tuple[Any, ...] | None = None
    """The documents as they were given, where some were objects and not strings."""
    first_stage_scores: tuple[float | None, ...] | None = None
    """Those that the documents came with; ``None`` for those that have none."""

    def given(self, index: int) -> Any:
        """The document at ``index``, as it was given."""
        return (self.originals or self.documents)[index]


@dataclass(frozen=True, kw_only=True, slots=True)
class WireRequest:
    """One request to rank. ``None`` is "not given", as ``null`` is in every shape.

    The options are those of ``Reranker.rank`` where it has them. A shape says which fields it can
    say in ``Shape.speaks``.
    """

    queries: tuple[WireQuery, ...]
    model: str | None = None
    top_n: int | None = None
    return_documents: bool | None = None
    normalization: Any = None
    """``"none"`` asks for logits, ``"sigmoid"`` for scores from 0 to 1."""
    score_threshold: float | None = None
    max_length: int | None = None
    max_query_tokens: int | None = None
    max_document_tokens: int | None = None
    truncate: bool | None = None
    """Whether to cut a pair that is too long, and not to refuse it."""
    truncation_side: str | None = None
    """``"left"`` or ``"right"``: the side that is cut off."""
    long_documents: str | None = None
    prune: str | None = None
    prior: Any = None
    deadline_ms: float | None = None
    max_documents: int | None = None
    on_error: str | None = None
    return_cuts: bool | None = None
    """Whether to say where each document was cut."""
    rank_fields: tuple[str, ...] | None = None
    """Names of the fields of the documents given that make their texts."""
    lone: bool = False
    """Whether the one text was given without a list, and is to be answered so."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Keys that the shape doesn't know, with their values: to be reported as ignored, or sent."""

    @property
    def query(self) -> WireQuery:
        """The query, in a shape that has one alone."""
        return self.queries[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class WireScore:
    """The place of one document in an answer."""

    index: int
    """Position in the ``documents`` that were given, from 0."""
    score: float | None
    """``None`` where the answer is an order alone, or the document wasn't scored."""
    logit: float | None = None
    """The logit, where a shape gives it beside the score."""
    document: Any = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def score_of(ranked: Mapping[str, Any]) -> WireScore:
    """The place that one of the ``results`` of ``Ranking.to_dict()`` describes."""
    said = dict(ranked)
    index, score, logit = said.pop("index"), said.pop("score"), said.pop("logit")
    document = said.pop("document", None)
    return WireScore(index=index, score=score, logit=logit, document=document, extra=said)


@dataclass(frozen=True, kw_only=True, slots=True)
class WireResult:
    """The answer for one query."""

    scores: tuple[WireScore, ...]
    """Best first, except in shapes that answer in the order given."""
    model: str | None = None
    id: str | None = None
    tokens: int | None = None
    """Tokens that the server read, as far as it says."""
    repairs: int = 0
    """Identifiers of a written order that were dropped or appended to make it a permutation."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Other keys. In resift's own shape, all else that ``Ranking.to_dict()`` says."""

    @classmethod
    def of(cls, ranking: Mapping[str, Any], *, id: str | None = None) -> WireResult:  # noqa: A002
        """Make the answer that ``Ranking.to_dict()`` describes."""
        said = dict(ranking)
        scores = [score_of(each) for each in said.pop("results")]
        tokens = said["counts"]["tokens"]
        model = said.pop("model")
        return cls(scores=tuple(scores), model=model, id=id, tokens=tokens, extra=said)


@dataclass(frozen=True, kw_only=True, slots=True)
class WireResponse:
    """The answers for all queries of a request, in their order."""

    results: tuple[WireResult, ...]

    @property
    def result(self) -> WireResult:
        """The answer, in a shape that has one query alone."""
        return self.results[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """An error, as a server says it."""

    status: int
    """The HTTP status."""
    message: str
    kind: str | None = None
    """The server's name for this kind of error, in shapes that have one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds of one request; ``None`` is no bound."""

    documents: int | None = None
    """Documents of all its queries."""
    body: int | None = None
    """Bytes of its body, about."""
    words: int | None = None
    """Words of a document, of which the rest is cut before it is sent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """The facts that a server tells about itself."""

    limits: Limits
    model: str | None = None
    revision: str | None = None
    precision: str | None = None
