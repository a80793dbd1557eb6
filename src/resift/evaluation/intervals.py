"""Intervals over the queries that were judged."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 10_000

_AT_ONCE = 500
_BLOCK = 100
# Of the normal distribution, what leaves out 2.5 % on either side.
_Z = 1.959963984540054


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
    low, high = percentiles(means)
    return Difference(mean=float(difference.mean()), low=low, high=high)


def paired_ratio_bootstrap(
    differences: NDArray[np.float64], query: NDArray[np.intp], *, seed: int = 0
) -> Difference:
    """The mean over pairs of ``differences`` (``float64 [pairs]``), and its bootstrap interval.

    ``query`` has the number of each pair's query, from 0: whole queries are drawn, as in
    ``resampled``.
    """
    queries = int(query.max()) + 1
    pairs = np.bincount(query).astype(np.float64)
    sums = np.column_stack([np.bincount(query, differences, queries), pairs])
    means = np.concatenate([each[:, 0] / each[:, 1] for each in resampled(sums, seed=seed)])
    low, high = percentiles(means)
    return Difference(mean=float(differences.mean()), low=low, high=high)


def resampled(
    rows: NDArray[np.float64], *, resamples: int = 2_000, seed: int = 0
) -> Iterator[NDArray[np.float64]]:
    """Sums of ``rows`` (``float64 [queries, k]``) over queries drawn with replacement.

    Yields them in blocks: ``float64 [block, k]``, ``resamples`` in all.
    """
    for drawn in draws(len(rows), resamples=resamples, seed=seed):
        yield drawn @ rows


def draws(queries: int, *, resamples: int, seed: int = 0) -> Iterator[NDArray[np.int64]]:
    """Counts of queries, drawn with replacement: blocks of ``int64 [block, queries]``."""
    rng = np.random.default_rng(seed)
    for _ in range(0, resamples, _BLOCK):
        yield rng.multinomial(queries, np.full(queries, 1 / queries), size=_BLOCK)


def percentiles(values: NDArray[np.float64]) -> tuple[float, float]:
    """The values that leave out 2.5 % on either side."""
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)


def wilson(share: float, count: float) -> tuple[float, float]:
    """The 95 % interval of a share of ``count`` independent cases.

    E. Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    centre = share + _Z**2 / (2 * count)
    spread = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    whole = 1 + _Z**2 / count
    return max(0.0, (centre - spread) / whole), min(1.0, (centre + spread) / whole)
