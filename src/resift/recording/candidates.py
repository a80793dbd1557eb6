"""Candidates: the documents of a query, as they are recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat

from resift.ranking import Ranking


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A document that a first stage found for a query."""

    id: str | None
    """The document's own id; ``None`` takes a hash of its text."""
    text: str | None
    """The text to rank; ``None`` counts as ``""``."""
    score: float | None = None
    """The first stage's score."""
    rank: int | None = None
    """The place that a ranker gave it, from 1; ``None`` where it wasn't ranked, or not kept."""
    rank_score: float | None = None
    """The ranker's score."""
    logit: float | None = None
    """The ranker's logit."""


def candidates_of(
    documents: Iterable[str | None],
    ids: Iterable[str | None] | None,
    scores: Iterable[float | None] | None,
    ranking: Ranking | None,
) -> Iterator[Candidate]:
    """The documents of a query, each with what its ranking says of it."""
    texts = list(documents)
    names = list(repeat(None, len(texts)) if ids is None else ids)
    numbers = list(repeat(None, len(texts)) if scores is None else scores)
    ranked = {each.index: (n, each) for n, each in enumerate(ranking or (), start=1)}
    for index, (text, name, score) in enumerate(zip(texts, names, numbers, strict=True)):
        rank, result = ranked.get(index, (None, None))
        yield Candidate(
            id=name,
            text=text,
            score=score,
            rank=rank,
            rank_score=None if result is None else result.score,
            logit=None if result is None else result.logit,
        )
