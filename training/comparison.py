"""Measures by query, and how sure a difference between two systems is."""

from collections.abc import Mapping, Sequence

import ir_measures
import numpy as np
from ir_measures import RR, nDCG
from numpy.typing import NDArray

SEED = 0
RESAMPLES = 10_000
CONFIDENCE = 0.95
# nDCG has linear gains; the reciprocal rank is that of the first document of grade 1 or more.
MEASURES = {"ndcg@10": nDCG @ 10, "mrr@10": RR(rel=1) @ 10}

_AT_ONCE = 500


def measure(
    grades: Mapping[str, Mapping[str, int]],
    candidates: Mapping[str, Sequence[str]],
    scores: Mapping[str, Sequence[float]],
) -> dict[str, NDArray[np.float64]]:
    """Each of `MEASURES` by query, float64 `[queries]` in the order of `candidates`.

    Equal scores keep the candidates' order. A query without candidates has 0.
    """
    ranked = [
        ir_measures.ScoredDoc(query, documents[index], float(-place))
        for query, documents in candidates.items()
        for place, index in enumerate(np.argsort(-np.asarray(scores[query]), kind="stable"))
    ]
    qrels = [
        ir_measures.Qrel(query, document, grade)
        for query in candidates
        for document, grade in grades[query].items()
    ]
    place = {query: index for index, query in enumerate(candidates)}
    values = {str(kind): np.zeros(len(place)) for kind in MEASURES.values()}
    for metric in ir_measures.iter_calc(list(MEASURES.values()), qrels, ranked):
        values[str(metric.measure)][place[metric.query_id]] = metric.value
    return {name: values[str(kind)] for name, kind in MEASURES.items()}


def interval(
    values: NDArray[np.float64], against: NDArray[np.float64], *, seed: int = SEED
) -> tuple[float, float]:
    """The paired bootstrap interval of the mean of `values - against` (float64 `[queries]` each).

    Queries are drawn with replacement `RESAMPLES` times; the interval lies between the percentiles
    that leave out half of `1 - CONFIDENCE` on either side.
    """
    difference = values - against
    rng = np.random.default_rng(seed)
    means = np.concatenate(
        [
            difference[rng.integers(len(difference), size=(_AT_ONCE, len(difference)))].mean(axis=1)
            for _ in range(RESAMPLES // _AT_ONCE)
        ]
    )
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return float(low), float(high)


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
