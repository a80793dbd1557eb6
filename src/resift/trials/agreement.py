"""A ranker's agreement with the first stage, and the queries that it helps and hurts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from resift.trials.collection import Collection
from resift.trials.measuring import Values
from resift.trials.running import Run

FIRST = 10
SHOWN = 10
"""Queries helped, and hurt, that are shown."""
SIDE = 5
"""Documents of each order that are shown side by side."""
PERSISTENCE = 0.9
_EXCERPT = 300
_LEAST = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """A ranker's order and the first stage's, over the queries."""

    ranker: str
    tau: float | None
    """Mean Kendall's tau over all candidates: 1 for the same order, -1 for the reverse."""
    rbo: float | None
    """Mean rank-biased overlap, persistence 0.9: the first places count most; 1 for the same."""
    moved: float | None
    """Mean number of the first 10 that weren't among the first stage's first 10."""
    same_first: float | None
    """Share of queries whose first document is the same."""
    queries: int
    """Those with two candidates or more."""


def agreement(run: Run, queries: Sequence[str]) -> Agreement:
    """Compare the orders of ``run`` with the first stage's."""
    from scipy.stats import kendalltau

    orders = [run.ordered[query].order for query in queries if query in run.ordered]
    orders = [each for each in orders if len(each) > 1]
    if not orders:
        nothing = dict.fromkeys(("tau", "rbo", "moved", "same_first"))
        return Agreement(ranker=run.name, queries=0, **nothing)
    taus = [kendalltau(np.arange(len(each)), np.argsort(each)).statistic for each in orders]
    return Agreement(
        ranker=run.name,
        tau=float(np.mean(taus)),
        rbo=float(np.mean([overlap(each.tolist()) for each in orders])),
        moved=float(np.mean([np.count_nonzero(each[:FIRST] >= FIRST) for each in orders])),
        same_first=float(np.mean([each[0] == 0 for each in orders])),
        queries=len(orders),
    )


def overlap(order: Sequence[int], persistence: float = PERSISTENCE) -> float:
    """Rank-biased overlap of ``order`` (places, best first) with 0, 1, 2, …, from 0 to 1.

    W. Webber and others, "A similarity measure for indefinite rankings", ACM TOIS 28(4), 2010; both
    lists hold the same documents, so nothing is extrapolated: the weights are scaled to sum to 1.
    """
    seen: set[int] = set()
    agreed = total = 0.0
    for depth, place in enumerate(order, start=1):
        seen.add(place)
        weight = persistence ** (depth - 1)
        agreed += weight * sum(each < depth for each in seen) / depth
        total += weight
    return agreed / total if total else 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A document as it is shown in a list."""

    id: str
    excerpt: str
    grade: int | None
    """``None`` where nobody judged it."""
    came: int
    """Its rank in the first stage, from 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A query that a ranker helped or hurt, with the first documents before and after."""

    query_id: str
    query: str
    before: float
    """nDCG@10 of the first stage."""
    after: float
    documents_before: Sequence[Shown]
    documents_after: Sequence[Shown]


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """A ranker's effect on the queries, one by one."""

    ranker: str
    helped: int
    hurt: int
    same: int
    best: Sequence[Example]
    """Those helped most, the most first."""
    worst: Sequence[Example]
    """Those hurt most, the most first."""


def effect(
    run: Run, collection: Collection, queries: Sequence[str], values: Values, first: Values
) -> Effect:
    """Sort the queries by ``values - first`` (nDCG@10, ``float64 [queries]`` each)."""
    difference = values - first
    by_harm = np.argsort(difference, kind="stable")
    worst = [int(n) for n in by_harm[:SHOWN] if difference[n] < -_LEAST]
    best = [int(n) for n in by_harm[::-1][:SHOWN] if difference[n] > _LEAST]

    def example(place: int) -> Example:
        query = queries[place]
        return Example(
            query_id=query,
            query=collection.queries[query],
            before=float(first[place]),
            after=float(values[place]),
            documents_before=_shown(collection, query, range(SIDE)),
            documents_after=_shown(collection, query, run.ordered[query].order[:SIDE].tolist()),
        )

    return Effect(
        ranker=run.name,
        helped=int(np.count_nonzero(difference > _LEAST)),
        hurt=int(np.count_nonzero(difference < -_LEAST)),
        same=int(np.count_nonzero(abs(difference) <= _LEAST)),
        best=[example(place) for place in best],
        worst=[example(place) for place in worst],
    )


def _shown(collection: Collection, query: str, places: Sequence[int]) -> list[Shown]:
    found, texts = collection.found(query), collection.texts(query)
    return [
        Shown(
            id=found[place].id,
            excerpt=texts[place][:_EXCERPT] + ("…" if len(texts[place]) > _EXCERPT else ""),
            grade=collection.grade(query, found[place].id),
            came=place + 1,
        )
        for place in places
        if place < len(found)
    ]
