"""Measures by query, through ``ir_measures``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resift.errors import BackendUnavailableError
from resift.trials.collection import Collection
from resift.trials.running import Orders

if TYPE_CHECKING:
    import ir_measures

Values = NDArray[np.float64]

PRIMARY = "nDCG@10"
JUDGED_ONLY = "nDCG(judged_only=True)@10"
"""Without the documents that nobody judged, which otherwise count as wrong."""

# By hand: what reads names there takes a part of ast that Python 3.14 no longer has.
_MADE: Mapping[str, Callable[[Any], Any]] = {
    PRIMARY: lambda library: library.nDCG @ 10,
    "RR@10": lambda library: library.RR @ 10,
    "Success@1": lambda library: library.Success @ 1,
    "R@100": lambda library: library.R @ 100,
    "AP": lambda library: library.AP,
    "Judged@10": lambda library: library.Judged @ 10,
    JUDGED_ONLY: lambda library: library.nDCG(judged_only=True) @ 10,
}
MEASURES = tuple(name for name in _MADE if name != JUDGED_ONLY)

EXPLAINED = {
    PRIMARY: "gain by grade (linear: the gain is the grade), discounted by rank, of the first 10; "
    "1 is the best order of all judged documents",
    "RR@10": "one over the rank of the first relevant document among the first 10; its mean is MRR",
    "Success@1": "share of queries whose first document is relevant",
    "R@100": "share of the relevant documents that are among the first 100; reranking can't raise "
    "it beyond what was found",
    "AP": "average precision: mean over the relevant documents of the precision at their ranks",
    "Judged@10": "share of the first 10 that somebody judged; where it is low, the other measures "
    "say little",
    "nDCG(judged_only=True)@10": "nDCG@10 where documents that nobody judged are left out of the "
    "ranking; it tells nothing where only relevant documents were judged",
}


def measure(
    collection: Collection,
    orders: Orders,
    queries: Sequence[str],
    measures: Sequence[str] = (*MEASURES, JUDGED_ONLY),
) -> dict[str, Values]:
    """Each measure by query: ``float64 [queries]``, in the order of ``queries``.

    A query without candidates counts 0. A document that nobody judged isn't relevant; a grade of 1
    or more is. Scores are made from ranks, because trec_eval ignores a run's order, and breaks ties
    by id. Raises ``BackendUnavailableError`` without the extra ``evaluate``.
    """
    library = _library()
    made = {_MADE[name](library): name for name in measures}
    grades = collection.grades or {}
    qrels = [
        library.Qrel(query, document, grade)
        for query in queries
        for document, grade in grades.get(query, {}).items()
    ]
    at = {query: place for place, query in enumerate(queries)}
    values = {each: np.zeros(len(queries)) for each in measures}
    found = list(_ranked(library, collection, orders, queries))
    if not qrels or not found:
        return values
    for each in library.iter_calc(list(made), qrels, found):
        if each.query_id in at:
            values[made[each.measure]][at[each.query_id]] = each.value
    return values


def _ranked(
    library: Any, collection: Collection, orders: Orders, queries: Sequence[str]
) -> Iterator[ir_measures.ScoredDoc]:
    for query in queries:
        candidates = collection.found(query)
        seen = set()
        for rank, place in enumerate(orders.get(query, ())):
            name = candidates[place].id
            # A document that was found twice counts where it is first.
            if name not in seen:
                seen.add(name)
                yield library.ScoredDoc(query, name, -float(rank))


def means(values: Mapping[str, Values]) -> dict[str, float]:
    """The mean of each measure over the queries."""
    return {name: float(each.mean()) if len(each) else 0.0 for name, each in values.items()}


def _library() -> Any:
    try:
        import ir_measures
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(
            f"{error.name} isn't installed, which measuring needs: pip install 'resift[evaluate]'"
        ) from error
    return ir_measures
