"""The depth curve, its knee, and the Pareto front of quality and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from resift.evaluation.intervals import Difference, paired_bootstrap
from resift.ranking import Ranking
from resift.trials.collection import Collection
from resift.trials.measuring import PRIMARY, Values, measure
from resift.trials.running import Run
from resift.trials.timing import Timed, alternate

_STEPS = (5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000)
KEPT = 0.95
"""The share of the largest gain that the knee keeps."""


def depths(deepest: int) -> list[int]:
    """The depths of a curve: 5, 10, 20, … and ``deepest``, the largest number of candidates."""
    return [*(each for each in _STEPS if each < deepest), *([deepest] if deepest else [])]


@dataclass(frozen=True, kw_only=True, slots=True)
class Knee:
    """The smallest depth that keeps 95 % of the largest gain over the first stage."""

    depth: int
    kept: float
    """The share of the largest gain that it keeps."""
    lost: Difference
    """Its nDCG@10 less that of the largest depth."""
    saved_ms: float | None
    """Milliseconds less than the largest depth takes; ``None`` where that wasn't timed."""
    saved_share: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthCurve:
    """Quality and time of one ranker by the number of candidates that it reranks."""

    ranker: str
    depths: Sequence[int]
    quality: Sequence[float]
    """Mean nDCG@10 at each depth."""
    gain: Sequence[Difference]
    """Over the first stage, at each depth."""
    milliseconds: Sequence[float] | None
    """Median for one query at each depth."""
    timed_queries: int
    first_stage: float
    """Mean nDCG@10 of the first stage."""
    knee: Knee | None
    """``None`` where no depth gains anything."""


def depth_curve(
    run: Run, collection: Collection, queries: Sequence[str], timed: Mapping[int, Timed]
) -> DepthCurve:
    """Read the quality at each depth off one scoring of all candidates; ``run`` is ``pure``."""
    found = depths(collection.depth)
    as_found = {query: list(range(len(collection.found(query)))) for query in queries}
    first = measure(collection, as_found, queries, [PRIMARY])[PRIMARY]
    values = [measure(collection, run.at_depth(d), queries, [PRIMARY])[PRIMARY] for d in found]
    times = [timed[depth].milliseconds for depth in found] if timed else None
    return DepthCurve(
        ranker=run.name,
        depths=found,
        quality=[float(each.mean()) for each in values],
        gain=[paired_bootstrap(each, first) for each in values],
        milliseconds=times,
        timed_queries=len(next(iter(timed.values())).rankings) if timed else 0,
        first_stage=float(first.mean()),
        knee=knee(found, values, first, times),
    )


def knee(
    depths: Sequence[int], values: Sequence[Values], first: Values, times: Sequence[float] | None
) -> Knee | None:
    """The smallest of ``depths`` with 95 % of the largest mean gain of ``values`` over ``first``.

    ``values``: ``float64 [queries]`` at each depth. ``None`` where the largest gain is none.
    """
    gains = [float((each - first).mean()) for each in values]
    if not gains or max(gains) <= 0:
        return None
    at = next(place for place, gain in enumerate(gains) if gain >= KEPT * max(gains))
    return Knee(
        depth=depths[at],
        kept=gains[at] / max(gains),
        lost=paired_bootstrap(values[at], values[-1]),
        saved_ms=times[-1] - times[at] if times else None,
        saved_share=1 - times[at] / times[-1] if times else None,
    )


def time_depths(run: Run, collection: Collection, queries: Sequence[str]) -> dict[int, Timed]:
    """Rank the first so many candidates of each of ``queries``, at each depth, and time it.

    Queries with fewer than the most candidates would make deep ones look fast: give others.
    """
    reranker = run.ranker.reranker
    if reranker is None or not queries:
        return {}

    def ranked(query: str, depth: int) -> Ranking:
        return reranker.rank(
            collection.queries[query],
            collection.texts(query)[:depth],
            first_stage_scores=collection.scores(query)[:depth],
        )

    ways = {str(depth): partial(ranked, depth=depth) for depth in depths(collection.depth)}
    return {int(name): each for name, each in alternate(ways, queries).items()}


def front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The names of the points (milliseconds, quality) that no other beats in both, by time."""
    best, kept = -np.inf, []
    for name in sorted(points, key=lambda each: (points[each][0], -points[each][1])):
        if points[name][1] > best:
            best = points[name][1]
            kept.append(name)
    return kept
