"""What a ranking is: immutable, JSON-friendly, and complete about how it was made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, overload

Status = Literal["complete", "partial", "fallback"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RankedDocument:
    """One document of a ranking."""

    index: int
    """Position in the ``documents`` that were given."""
    score: float
    """The logit after ``normalization``."""
    logit: float
    """The model's raw relevance: float32, before any activation, unbounded."""
    truncated_tokens: int
    """How many of the document's tokens the model didn't see; 0 when it saw all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timings:
    """Seconds on a monotonic clock. Calls that rank many queries share one set."""

    load: float = 0.0
    tokenize: float = 0.0
    infer: float = 0.0
    rank: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """How much work a ranking was."""

    documents: int = 0
    """Documents given, duplicates included."""
    pairs: int = 0
    """Pairs the model scored: one for each different text, or for each window of it."""
    tokens: int = 0
    """Tokens in those pairs, special tokens included."""
    padded_tokens: int = 0
    """``tokens`` plus the padding up to the longest pair of each batch."""
    truncated_documents: int = 0
    """Documents with ``truncated_tokens`` above 0."""
    pruned_documents: int = 0
    """Documents that weren't scored to the end: see ``prune``. The counts of pairs and tokens are
    without them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking(Sequence[RankedDocument]):
    """The documents kept, most relevant first, and how they were ranked."""

    results: tuple[RankedDocument, ...]
    model: str
    revision: str | None
    """``None`` where the model has none, or wasn't loaded because there were no documents."""
    backend: str
    device: str | None
    """Where it ran; ``None`` where the model wasn't loaded."""
    precision: str | None
    """What the matrix products ran in; ``None`` where the model wasn't loaded."""
    status: Status
    query_truncated: bool
    timings: Timings
    counts: Counts

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
        """Plain dicts, lists, strings and numbers, ready for ``json.dumps``."""
        # asdict alone leaves the results a tuple, which JSON doesn't give back.
        return {**asdict(self), "results": [asdict(result) for result in self.results]}
