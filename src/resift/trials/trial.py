"""``evaluate``: rankers on a collection, from candidates to a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import numpy as np

from resift.errors import InvalidRequestError
from resift.reranker import Reranker
from resift.trials import timing
from resift.trials.agreement import agreement, effect
from resift.trials.budget import Budget, budget
from resift.trials.collection import Collection, sampled
from resift.trials.curves import DepthCurve, depth_curve, time_depths
from resift.trials.defects import all as defects
from resift.trials.found import RunReport
from resift.trials.groups import groups
from resift.trials.measuring import JUDGED_ONLY, MEASURES, PRIMARY, Values, means, measure
from resift.trials.rankers import DEFAULT, Ranker, Rankers
from resift.trials.report import Report
from resift.trials.running import Run, run
from resift.trials.significance import compare
from resift.trials.stability import stability

TOP_N = 10
TIMED = 10
"""Queries that depths are timed on."""
TRIED = 50
"""Queries that the ways of the budget curve are tried on."""
SEED = 0


class Progress(Protocol):
    """Something that hears how far an evaluation is, as ``tqdm`` does."""

    def __call__(self, what: str, total: int) -> AbstractContextManager[Callable[[], object]]:
        """Begin with ``what``; the function that is returned is called ``total`` times."""
        ...


def _silent(what: str, total: int) -> AbstractContextManager[Callable[[], object]]:  # noqa: ARG001
    return nullcontext(lambda: None)


def evaluate(
    collection: Collection,
    rankers: Mapping[str, str | Reranker | None] | Sequence[Ranker] | None = None,
    *,
    timed: int = TIMED,
    tried: int = TRIED,
    seed: int = SEED,
    progress: Progress = _silent,
) -> Report:
    """Compare rankers on a collection of ``read_collection``.

    ``rankers``: by name a ``Reranker``, a text such as ``"resift-small,prune=auto"`` or
    ``"tei+http://127.0.0.1:8080"``, or ``None`` for the first stage's own order. All are compared
    with the first. ``None`` takes the first stage, ``resift-small``, and that with the first
    stage's order as evidence. ``timed``: the queries that each depth is timed on; 0 leaves time
    out. ``tried``: those of the budget curve; 0 leaves it out. The same ``seed`` gives the same
    figures, except for milliseconds.

    Raises ``InvalidRequestError`` for rankers that aren't any, ``BackendUnavailableError`` without
    the extra ``evaluate``, and what ranking raises.
    """
    chosen = _rankers(rankers)
    queries = list(collection.queries)
    if not any(collection.found(query) for query in queries):
        raise InvalidRequestError(
            "the first stage found nothing for any query that has a text; see that the ids of run "
            "and queries are the same"
        )
    runs = [_run(each, collection, queries, progress) for each in chosen]
    found = defects.of_collection(collection)
    found += [each for one in runs for each in defects.of_run(one, collection)]
    values: dict[str, dict[str, Values]] = {}
    if collection.grades is not None:
        for one in runs:
            values[one.name] = measure(collection, one.orders, queries)
        primary = {name: each[PRIMARY] for name, each in values.items()}
        found += defects.turned_round(runs, collection, queries, primary)
    curves = _curves(runs, collection, queries, timed, seed, progress)
    return Report(
        collection=collection,
        runs=[_described(one, collection, queries, values, seed) for one in runs],
        comparisons={
            name: compare({each: own[name] for each, own in values.items()}, seed=seed)
            for name in (*MEASURES, JUDGED_ONLY)
            if values
        },
        defects=sorted(found, key=lambda each: each.level != "warning"),
        curves=curves,
        budget=_budget(runs, collection, queries, curves, tried, seed, progress),
        machine=timing.machine(),
        seed=seed,
    )


def _rankers(
    given: Mapping[str, str | Reranker | None] | Sequence[Ranker] | None,
) -> list[Ranker]:
    maker = Rankers()
    if given is None:
        found = [maker.read(each) for each in DEFAULT]
    elif isinstance(given, Mapping):
        found = [maker.make(name, each) for name, each in given.items()]
    else:
        found = list(given)
    names = [each.name for each in found]
    if not found or len(set(names)) < len(names):
        raise InvalidRequestError(f"expected rankers with different names, not {names}")
    return found


def _run(ranker: Ranker, collection: Collection, queries: Sequence[str], progress: Progress) -> Run:
    with progress(ranker.name, len(queries)) as done:

        def each() -> object:
            for query in queries:
                yield query
                done()

        return run(ranker, collection, TOP_N, each())  # type: ignore[arg-type]


def _curves(
    runs: Sequence[Run],
    collection: Collection,
    queries: Sequence[str],
    timed: int,
    seed: int,
    progress: Progress,
) -> list[DepthCurve]:
    """Curves of the rankers whose scores are each document's own."""
    if collection.grades is None or collection.depth < 2:
        return []
    deep = [each for each in queries if len(collection.found(each)) == collection.depth]
    sample = sampled(deep, timed, seed)
    found = []
    for one in runs:
        if one.pure:
            with progress(f"{one.name}, depths", 1) as done:
                times = time_depths(one, collection, sample)
                done()
            found.append(depth_curve(one, collection, queries, times))
    return found


def _budget(
    runs: Sequence[Run],
    collection: Collection,
    queries: Sequence[str],
    curves: Sequence[DepthCurve],
    tried: int,
    seed: int,
    progress: Progress,
) -> Budget | None:
    sample = sampled([each for each in queries if collection.found(each)], tried, seed)
    if collection.grades is None or not sample:
        return None
    tries = {
        each.ranker: sorted({10, 20, 50, each.knee.depth} & {*each.depths[:-1]})
        for each in curves
        if each.knee
    }
    with progress("budget", 0) as done:
        found = budget(runs, collection, sample, tries, lambda: (done(), None)[1])
    seconds = sorted(collection.seconds.values())
    return found if not seconds else found.with_first_stage(1000 * seconds[len(seconds) // 2])


def _described(
    one: Run,
    collection: Collection,
    queries: Sequence[str],
    values: Mapping[str, Mapping[str, Values]],
    seed: int,
) -> RunReport:
    """All that is said of one ranker by itself."""
    own = values.get(one.name)
    reranks = one.ranker.reranker is not None
    first = None
    if own is not None and reranks:
        as_found = {query: list(range(len(collection.found(query)))) for query in queries}
        first = measure(collection, as_found, queries, [PRIMARY])[PRIMARY]
    return RunReport(
        run=one,
        means=None if own is None else means(own),
        values=own,
        agreement=agreement(one, queries) if reranks else None,
        effect=None
        if own is None or first is None
        else effect(one, collection, queries, own[PRIMARY], first),
        groups=None
        if own is None or first is None
        else groups(one, collection, queries, own[PRIMARY], first),
        stability=stability(one, collection, seed=seed),
        scores=_scores(one, collection),
    )


def _scores(one: Run, collection: Collection) -> dict[str, list[float]]:
    """All scores, sorted: of relevant documents, of others that were judged, and of the rest."""
    kinds: dict[str, list[float]] = {"relevant": [], "not relevant": [], "not judged": []}
    for query, each in one.ordered.items():
        for candidate, value in zip(collection.found(query), each.raw.tolist(), strict=True):
            if np.isfinite(value):
                grade = collection.grade(query, candidate.id)
                kind = (
                    "not judged" if grade is None else "relevant" if grade > 0 else "not relevant"
                )
                kinds[kind].append(value)
    return {kind: sorted(values) for kind, values in kinds.items() if values}
