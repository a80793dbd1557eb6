"""Differences between rankers over the same queries: how large, and how sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resift.evaluation.intervals import Difference, paired_bootstrap

FLIPS = 10_000
LEVEL = 0.05
_AT_ONCE = 500

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """A ranker's difference from the one that all are compared with, over the queries."""

    difference: Difference
    """Mean, and 95 % bootstrap interval."""
    p: float
    """By paired randomization, two-sided."""
    p_holm: float
    """The same, corrected for the number of rankers."""
    queries: int

    @property
    def certain(self) -> bool:
        """Whether there is a difference, at 5 %, corrected."""
        return self.p_holm < LEVEL


def paired_randomization(values: Values, against: Values, *, seed: int = 0) -> float:
    """The two-sided p of ``values - against`` (``float64 [queries]`` each), by 10,000 sign flips.

    Under the null hypothesis either ranker might have had either value of a query: M. Smucker and
    others, "A comparison of statistical significance tests for information retrieval evaluation",
    CIKM 2007. The observed signs are counted as one of the flips, so p is never 0.
    """
    difference = np.asarray(values - against, np.float64)
    seen = abs(difference.sum()) * (1 - 1e-12)
    rng = np.random.default_rng(seed)
    extreme = 0
    for _ in range(FLIPS // _AT_ONCE):
        signs = rng.integers(2, size=(_AT_ONCE, len(difference))) * 2.0 - 1
        extreme += int(np.count_nonzero(abs(signs @ difference) >= seen))
    return (extreme + 1) / (FLIPS + 1)


def holm(ps: Sequence[float]) -> list[float]:
    """The p-values, corrected for their number as S. Holm has it (1979), in the same order."""
    corrected = [0.0] * len(ps)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda each: ps[each])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[place]))
        corrected[place] = largest
    return corrected


def compare(values: Mapping[str, Values], *, seed: int = 0) -> dict[str, Comparison]:
    """Each ranker but the first compared with the first, by name."""
    (_, first), *others = values.items()
    if not others or not len(first):
        return {}
    ps = [paired_randomization(own, first, seed=seed) for _, own in others]
    return {
        name: Comparison(
            difference=paired_bootstrap(own, first, seed=seed),
            p=p,
            p_holm=corrected,
            queries=len(first),
        )
        for (name, own), p, corrected in zip(others, ps, holm(ps), strict=True)
    }
