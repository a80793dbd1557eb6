"""Rankings: immutable, JSON-friendly, and complete about how they were made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, overload

from resift.prior import Prior

Status = Literal["complete", "partial", "fallback"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RankedDocument:
    """One document of a ranking."""

    index: int
    """Position in the ``documents`` that were given, from 0."""
    score: float | None
    """The posterior after ``normalization``, or the server's own score; ``None`` where the document
    wasn't scored, or only ordered.
    """
    logit: float | None
    """The model's raw relevance: float32, before any activation, unbounded; ``None`` as above, and
    on any other ``scale``.
    """
    posterior: float | None
    """The logit and the ``prior`` added up, by which documents are ordered; ``None`` as above."""
    truncated_tokens: int
    """Number of the document's tokens that the model didn't see; 0 when it saw all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timings:
    """Seconds on a monotonic clock. The rankings of one ``rank_many`` share their timings."""

    load: float = 0.0
    tokenize: float = 0.0
    queue: float = 0.0
    """Until the first forward pass began, for other callers' passes; part of ``infer``, about."""
    infer: float = 0.0
    rank: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Numbers of documents, pairs and tokens behind a ranking."""

    documents: int = 0
    """Documents given, duplicates included."""
    scored: int = 0
    """Documents that have a score."""
    cached: int = 0
    """Different texts whose logit came from a cache. Not included in the counts of pairs."""
    pairs: int = 0
    """Pairs that the model scored: one for each different text, or for each window of it."""
    tokens: int = 0
    """Tokens in those pairs, special tokens included."""
    padded_tokens: int = 0
    """``tokens`` plus the padding up to the longest pair of each batch."""
    truncated_documents: int = 0
    """Documents with ``truncated_tokens`` above 0."""
    pruned_documents: int = 0
    """Documents that ``prune`` left out. Not included in the counts of pairs and tokens."""
    repairs: int = 0
    """Places of an order by a language model that were dropped or appended to make it whole."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """The work of one model for one ranking. A ranking by several models has several."""

    model: str
    """The model's name."""
    texts: int
    """Different texts that it was given."""
    pairs: int
    """As in ``Counts``, and so are the next two."""
    tokens: int
    padded_tokens: int
    seconds: float
    """From its start to its answer. The rankings of one ``rank_many`` share it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking(Sequence[RankedDocument]):
    """The documents kept, most relevant first, and how they were ranked."""

    results: tuple[RankedDocument, ...]
    model: str
    """The model's name."""
    revision: str | None
    """``None`` where the model has none, or wasn't loaded because there were no documents."""
    backend: str
    """The name of the backend that ran the model."""
    device: str | None
    """The name of the device that it ran on; ``None`` where the model wasn't loaded."""
    precision: str | None
    """The precision of the matrix products; ``None`` where the model wasn't loaded."""
    scale: str
    """The scale of what the model gave: ``"logit"``; the name of a server's own, which its scores
    are on; or ``"order"``, which has none.
    """
    status: Status
    """``"complete"``; ``"partial"`` where documents weren't scored, for lack of time or by
    ``max_documents``; or ``"fallback"`` where something else stood in for what was asked for.
    """
    query_truncated: bool
    """Whether the query was cut to fit ``max_length``."""
    prior: Prior | None
    """The prior that was added to the logits; ``None`` where it was off."""
    error: str | None
    """The error for which the first stage's order stands, with ``on_error="first_stage"``."""
    timings: Timings
    counts: Counts
    stages: tuple[Stage, ...]
    """The work of each model that took part, in the order of their answers."""

    @overload
    def __getitem__(self, index: int) -> RankedDocument: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[RankedDocument, ...]: ...
    def __getitem__(self, index: int | slice) -> RankedDocument | tuple[RankedDocument, ...]:
        return self.results[index]

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[RankedDocument]:
        return iter(self.results)

    def to_dict(self) -> dict[str, Any]:
        """The ranking as plain dicts, lists, strings and numbers, ready for ``json.dumps``."""
        # asdict alone leaves them tuples, which JSON reads back as a list.
        rows = {
            name: [asdict(each) for each in getattr(self, name)] for name in ("results", "stages")
        }
        return {**asdict(self), **rows}
