"""Measures by query, and how sure a difference between two systems is."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from collection import Collection
from resift.evaluation.intervals import paired_bootstrap
from resift.evaluation.measures import Gains, in_order, ndcg, reciprocal_rank

GAINS: Gains = "linear"
# The reciprocal rank is that of the first document of grade 1 or more.
MEASURES = ("ndcg@10", "mrr@10")


def measure(
    collection: Collection, queries: Sequence[str], scores: Mapping[str, Sequence[float]]
) -> dict[str, NDArray[np.float64]]:
    """Each of `MEASURES` by query, float64 `[queries]` in the order of `queries`.

    `scores` are of each query's candidates. Equal scores keep the candidates' order, and a query
    without candidates has 0.
    """
    values = np.zeros((len(MEASURES), len(queries)))
    for place, query in enumerate(queries):
        candidates = collection.candidates(query)
        order = in_order(scores[query])
        ranked = collection.grades_of(query, [candidates[index] for index in order])
        values[:, place] = (
            ndcg(ranked, collection.judged(query), gains=GAINS, k=10),
            reciprocal_rank(ranked, k=10),
        )
    return dict(zip(MEASURES, values, strict=True))


def interval(
    values: NDArray[np.float64], against: NDArray[np.float64], *, seed: int = 0
) -> tuple[float, float]:
    """The bounds of `paired_bootstrap`."""
    found = paired_bootstrap(values, against, seed=seed)
    return found.low, found.high


def z_sum(lists: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """The sum of several systems' z-scores of one query's candidates, float64 `[candidates]`.

    A system that scores all candidates alike adds 0.
    """
    scores = np.asarray(lists, np.float64)  # [systems, candidates]
    if not scores.size:
        return np.zeros(0)
    deviation = scores.std(axis=1, keepdims=True)
    centred = scores - scores.mean(axis=1, keepdims=True)
    return np.asarray((centred / np.where(deviation > 0, deviation, 1)).sum(axis=0))
