"""Reliability of chances: measures with intervals, and tables of reliability."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from resift.evaluation.calibration_fit import log_losses
from resift.evaluation.intervals import percentiles, resampled, wilson
from resift.logistic import Floats

_FEWEST, _MOST, _IN_A_BIN, _BARS = 10, 15, 50, 20


@dataclass(frozen=True, slots=True)
class Observed:
    """Pairs as they would be met: the chance of each, and how often it is relevant, and isn't.

    Arrays of ``[pairs]``. Where relevant documents are rarer in use than here, they count less:
    ``relevant`` and ``other`` add up to a pair's weight.
    """

    chances: Floats
    relevant: Floats
    other: Floats
    query: NDArray[np.intp]
    binary: bool
    """Whether each pair is relevant or not, and isn't only so in expectation."""
    weights: tuple[float, float] = (1.0, 1.0)
    """The weight of a relevant pair, and of another."""

    @classmethod
    def of(
        cls,
        chances: Floats,
        labels: Floats,
        query: NDArray[np.intp],
        *,
        binary: bool,
        share_in_use: float | None = None,
    ) -> Observed:
        """Weigh pairs so that ``share_in_use`` of their weight is relevant; ``None``: as here."""
        here = float(labels.mean())
        share = here if share_in_use is None else share_in_use
        up, down = share / here, (1 - share) / (1 - here)
        return cls(chances, labels * up, (1 - labels) * down, query, binary, (up, down))

    def only(self, kept: NDArray[np.bool_]) -> Observed:
        """The pairs that are ``kept``, with the same numbers of queries."""
        return replace(
            self,
            chances=self.chances[kept],
            relevant=self.relevant[kept],
            other=self.other[kept],
            query=self.query[kept],
        )

    @property
    def weight(self) -> Floats:
        """The weight of each pair; 1 where they count as they are here."""
        return self.relevant + self.other


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A value and its 95 % interval, by bootstrap over queries."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """Pairs of similar chances."""

    low: float
    """The lowest chance that belongs here."""
    high: float
    """The highest."""
    pairs: int
    predicted: float
    """Mean chance."""
    observed: float
    """Share that is relevant."""
    observed_low: float
    """95 % interval of ``observed``: Wilson's, or by bootstrap over queries for clicks."""
    observed_high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Quality:
    """Measures of how well chances hold."""

    brier: Estimate
    """Mean of the squared difference of chance and label, from 0 to 1; lower is better."""
    log_loss: Estimate
    """In nats; lower is better."""
    ece: Estimate
    """Expected calibration error: the mean distance of chance and share over bins of equal
    counts. By chance alone it is above 0; the interval is the bootstrap's, less its own excess.
    """
    equal_counts: tuple[Bin, ...]
    equal_widths: tuple[Bin, ...]
    histogram: tuple[int, ...]
    """Number of pairs in each of 20 bars of equal width, from 0 to 1."""


def quality(seen: Observed, *, seed: int = 0) -> Quality:
    """Measure how well chances hold.

    G. Brier, "Verification of forecasts expressed in terms of probability" (1950); M. Naeini and
    others, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015, for the
    calibration error. With C. Guo and others (2017) bins of equal widths are shown beside.
    """
    p = seen.chances
    losses = seen.relevant * log_losses(p, np.ones_like(p))
    losses += seen.other * log_losses(p, np.zeros_like(p))
    squares = seen.relevant * (1 - p) ** 2 + seen.other * p**2
    edges = _equal_counts(p)
    at = np.searchsorted(edges, p, side="right")
    sums = np.column_stack(
        [
            _by_query(seen, seen.weight)[:, None],
            _by_query(seen, losses)[:, None],
            _by_query(seen, squares)[:, None],
            _by_query_and_bin(seen, seen.relevant - seen.weight * p, at, len(edges) + 1),
        ]
    )
    drawn = np.concatenate(list(resampled(sums, seed=seed)))
    whole = sums.sum(axis=0, keepdims=True)

    def estimate(rows: NDArray[np.float64], all_of_them: NDArray[np.float64]) -> Estimate:
        low, high = percentiles(rows)
        return Estimate(value=float(all_of_them[0]), low=low, high=high)

    return Quality(
        brier=estimate(drawn[:, 2] / drawn[:, 0], whole[:, 2] / whole[:, 0]),
        log_loss=estimate(drawn[:, 1] / drawn[:, 0], whole[:, 1] / whole[:, 0]),
        ece=_centred(estimate(_distance(drawn), _distance(whole)), _distance(drawn)),
        equal_counts=_bins(seen, edges, seed),
        equal_widths=_bins(seen, np.linspace(0, 1, _FEWEST + 1)[1:-1], seed),
        histogram=tuple(np.histogram(p, bins=_BARS, range=(0.0, 1.0))[0].tolist()),
    )


def _centred(found: Estimate, drawn: NDArray[np.float64]) -> Estimate:
    """The interval moved by what resampling adds to a sum of distances."""
    excess = float(drawn.mean()) - found.value
    return Estimate(
        value=found.value,
        low=max(0.0, min(found.value, found.low - excess)),
        high=max(found.value, found.high - excess),
    )


def _distance(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.abs(sums[:, 3:]).sum(axis=1) / sums[:, 0]
    return found


def _equal_counts(chances: Floats) -> Floats:
    """The edges between 10 to 15 bins of as many pairs each; fewer where chances are equal."""
    bins = int(np.clip(len(chances) // _IN_A_BIN, _FEWEST, _MOST))
    places = (np.arange(1, bins) * len(chances)) // bins
    edges = np.unique(np.sort(chances)[places])
    return np.asarray(edges[edges > chances.min()], np.float64)


def _bins(seen: Observed, edges: Floats, seed: int) -> tuple[Bin, ...]:
    at = np.searchsorted(edges, seen.chances, side="right")
    size = len(edges) + 1
    weight = np.bincount(at, seen.weight, size)
    relevant = np.bincount(at, seen.relevant, size)
    pairs = np.bincount(at, minlength=size)
    chances = np.bincount(at, seen.weight * seen.chances, size)
    intervals = _intervals(seen, at, size, seed)
    return tuple(
        Bin(
            low=float(seen.chances[at == each].min()),
            high=float(seen.chances[at == each].max()),
            pairs=int(pairs[each]),
            predicted=float(chances[each] / weight[each]),
            observed=float(np.clip(relevant[each] / weight[each], 0, 1)),
            observed_low=intervals[each][0],
            observed_high=intervals[each][1],
        )
        for each in np.flatnonzero(pairs).tolist()
    )


def _intervals(
    seen: Observed, at: NDArray[np.intp], size: int, seed: int
) -> list[tuple[float, float]]:
    """The interval of each bin's share of relevant pairs."""
    weight, relevant = np.bincount(at, seen.weight, size), np.bincount(at, seen.relevant, size)
    if seen.binary:
        # As many equal pairs as would have the same variance: L. Kish, "Survey sampling" (1965).
        squares = np.bincount(at, seen.weight**2, size)
        return [
            wilson(float(r / w), float(w**2 / s)) if s else (0.0, 1.0)
            for r, w, s in zip(relevant, weight, squares, strict=True)
        ]
    sums = np.column_stack(
        [_by_query_and_bin(seen, each, at, size) for each in (seen.relevant, seen.weight)]
    )
    drawn = np.concatenate(list(resampled(sums, seed=seed)))
    shares = np.clip(drawn[:, :size] / np.where(drawn[:, size:] > 0, drawn[:, size:], np.inf), 0, 1)
    return [percentiles(shares[:, each]) for each in range(size)]


def _by_query(seen: Observed, values: Floats) -> Floats:
    return np.asarray(np.bincount(seen.query, values), np.float64)


def _by_query_and_bin(
    seen: Observed, values: Floats, at: NDArray[np.intp], size: int
) -> NDArray[np.float64]:
    queries = int(seen.query.max()) + 1
    sums = np.bincount(seen.query * size + at, values, queries * size)
    return np.asarray(sums.reshape(queries, size), np.float64)
