"""The budget curve: quality by milliseconds, of depths, early exit, cascades and deadlines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from resift.evaluation.intervals import Difference, paired_bootstrap
from resift.ranking import Ranking
from resift.reranker import Reranker
from resift.scoring import Cascade, Local
from resift.trials.collection import Collection
from resift.trials.curves import front
from resift.trials.measuring import PRIMARY, measure
from resift.trials.running import Run, read
from resift.trials.timing import Timed, alternate

TOP_N = 10
_ESTIMATOR, _MODEL = "resift-nano", "resift-small"
_KEEP = 30
_SHARES = (0.25, 0.5)
"""Deadlines, as shares of the time without one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One way to rank: what it gives, and what it takes."""

    name: str
    ranker: str
    kind: str
    """``"first stage"``, ``"depth"``, ``"whole"``, ``"prune"``, ``"cascade"`` or ``"deadline"``."""
    quality: float
    """Mean nDCG@10 over the sample."""
    gain: Difference
    """Over the first stage."""
    milliseconds: float
    """Median for one query, reranking alone; 0 for the first stage."""
    slow: float
    """Of the queries, 90 % took at most this."""
    on_front: bool = False
    """Whether no other point is better and faster."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """All that was tried, on the same sample of queries."""

    points: Sequence[Point]
    queries: int
    first_stage_ms: float | None = None
    """Median that the first stage itself took, where it was asked here."""

    def with_first_stage(self, milliseconds: float) -> Budget:
        """The same, with the first stage's own time."""
        return replace(self, first_stage_ms=milliseconds)


Rank = Callable[[str], Ranking]


def budget(
    runs: Sequence[Run],
    collection: Collection,
    queries: Sequence[str],
    depths: Mapping[str, Sequence[int]],
    done: Callable[[], None] = lambda: None,
) -> Budget:
    """Rank ``queries`` in every way that is tried, by turns, and measure both.

    ``depths``: for each ranker, those to try beside the whole. Where a bundled or other model is
    among the rankers, ``prune``, a cascade and deadlines are tried with the first such.
    """
    ways: dict[str, tuple[str, str, Rank]] = {}
    for run in runs:
        if run.ranker.reranker is None:
            continue
        ways[run.name] = run.name, "whole", _rank(collection, run.ranker.reranker)
        for depth in depths.get(run.name, ()):
            name = f"{run.name}, first {depth}"
            ways[name] = run.name, "depth", _rank(collection, run.ranker.reranker, depth=depth)
    ways |= _others(runs, collection, queries)
    timed = alternate({name: rank for name, (_, _, rank) in ways.items()}, queries, done)
    points = [_first_stage(collection, queries)]
    for name, (ranker, kind, _) in ways.items():
        points.append(_point(name, ranker, kind, timed[name], collection, queries))
    best = set(front({each.name: (each.milliseconds, each.quality) for each in points}))
    marked = [replace(each, on_front=each.name in best) for each in points]
    return Budget(points=marked, queries=len(queries))


def _rank(
    collection: Collection, reranker: Reranker, depth: int | None = None, **options: Any
) -> Rank:
    def ranked(query: str) -> Ranking:
        return reranker.rank(
            collection.queries[query],
            collection.texts(query)[:depth],
            first_stage_scores=collection.scores(query)[:depth],
            **options,
        )

    return ranked


def _others(
    runs: Sequence[Run], collection: Collection, queries: Sequence[str]
) -> dict[str, tuple[str, str, Rank]]:
    """Early exit, a cascade and deadlines, around the first model on this machine."""
    local = (each for each in runs if each.pure and each.ranker.keeping is not None)
    run = next(local, None)
    if run is None or run.ranker.reranker is None or not queries:
        return {}
    reranker = run.ranker.reranker
    rank = partial(_rank, collection, reranker)
    found: dict[str, tuple[str, str, Rank]] = {}
    if run.model in (_ESTIMATOR, _MODEL):
        # Other models' cards name no estimator.
        if run.model == _MODEL:
            found[f"{run.name}, prune"] = run.name, "prune", rank(prune="auto", top_n=TOP_N)
        scorer = reranker.options["scorer"]
        both = Cascade(
            [Local(_ESTIMATOR), scorer if run.model == _MODEL else Local(_MODEL)], [_KEEP]
        )
        own = {name: each for name, each in reranker.options.items() if name != "scorer"}
        cascade = Reranker(scorer=both, **own)
        name = f"{_ESTIMATOR}, then {_KEEP} by {_MODEL}"
        found[name] = run.name, "cascade", _rank(collection, cascade)
    whole = alternate({"": rank()}, queries[:5])[""].milliseconds
    for share in _SHARES:
        limit = float(f"{share * whole:.1g}")
        name = f"{run.name}, deadline {limit:g} ms"
        found[name] = run.name, "deadline", rank(deadline_ms=limit)
    return found


def _point(
    name: str, ranker: str, kind: str, timed: Timed, collection: Collection, queries: Sequence[str]
) -> Point:
    orders = {
        query: read(ranking, len(collection.found(query))).order.tolist()
        for query, ranking in timed.rankings.items()
    }
    values = measure(collection, orders, queries, [PRIMARY])[PRIMARY]
    return Point(
        name=name,
        ranker=ranker,
        kind=kind,
        quality=float(values.mean()),
        gain=paired_bootstrap(values, _as_found(collection, queries)),
        milliseconds=timed.milliseconds,
        slow=timed.slow,
    )


def _as_found(collection: Collection, queries: Sequence[str]) -> Any:
    orders = {query: list(range(len(collection.found(query)))) for query in queries}
    return measure(collection, orders, queries, [PRIMARY])[PRIMARY]


def _first_stage(collection: Collection, queries: Sequence[str]) -> Point:
    values = _as_found(collection, queries)
    none = Difference(mean=0.0, low=0.0, high=0.0)
    return Point(
        name="first stage",
        ranker="first stage",
        kind="first stage",
        quality=float(values.mean()),
        gain=none,
        milliseconds=0.0,
        slow=0.0,
    )
