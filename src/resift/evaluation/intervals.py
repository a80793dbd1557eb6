"""Intervals of the difference between two rankers, over the queries that were judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 10_000

_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """The mean of a difference over queries, and its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.4f} ({self.low:+.4f} to {self.high:+.4f})"


def paired_bootstrap(
    values: NDArray[np.float64], against: NDArray[np.float64], *, seed: int = 0
) -> Difference:
    """The mean of ``values - against`` (``float64 [queries]`` each), and its bootstrap interval.

    Queries are drawn with replacement 10,000 times; the interval lies between the percentiles that
    leave out 2.5 % on either side: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap"
    (1993), chapter 13. The same values and ``seed`` give the same interval.
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
    return Difference(mean=float(difference.mean()), low=float(low), high=float(high))
