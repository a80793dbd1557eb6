"""Score thresholds for a wanted precision or recall, with intervals over queries."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from resift.evaluation.intervals import percentiles, resampled
from resift.evaluation.reliability import Estimate, Observed
from resift.logistic import Floats

KEPT_FROM = 10
"""How many documents a threshold must keep: a precision of fewer is chance."""

_RESAMPLES = 1_000

Goal = Literal["precision", "recall"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Threshold:
    """The score threshold that reaches a precision or a recall, over all queries together."""

    goal: Goal
    wanted: float
    threshold: Estimate | None
    """The ``score_threshold``; ``None`` where none reaches it."""
    precision: Estimate | None
    """The share of kept documents that are relevant, with this threshold."""
    recall: Estimate | None
    """The share of relevant documents that are kept, with this threshold."""
    reached_in: float
    """The share of resamples in which some threshold reaches it, from 0 to 1."""
    best: float
    """The most of the goal that any threshold reaches, which keeps ten documents or more."""

    def to_dict(self) -> dict[str, Any]:
        """The values by name, ready for ``json.dumps``."""
        return asdict(self)

    def __str__(self) -> str:
        if self.threshold is None or self.precision is None or self.recall is None:
            return (
                f"{self.goal} {self.wanted:g} can't be reached: the most is {self.best:.3f}, by a "
                f"threshold that keeps {KEPT_FROM} documents or more"
            )
        said = (
            f"{self.goal} {self.wanted:g}: score_threshold {self.threshold}, precision "
            f"{self.precision}, recall {self.recall}"
        )
        if self.reached_in < 0.975:
            said += f"; not certain, as {1 - self.reached_in:.0%} of resamples don't reach it"
        return said


def find_threshold(seen: Observed, goal: Goal, wanted: float, *, seed: int = 0) -> Threshold:
    """Find the score threshold for a precision or a recall (``wanted``, above 0, up to 1).

    For a precision it is the lowest that has it, and so keeps the most; for a recall the highest.
    Intervals are percentiles over 1,000 resamples of queries: of the threshold, found anew in each,
    and of what the one that is given reaches.
    """
    order = np.argsort(-seen.chances, kind="stable")
    scores = seen.chances[order]
    # Equal scores are kept together.
    last = np.append(np.flatnonzero(np.diff(scores) < 0), len(scores) - 1)
    levels = scores[last]
    masses = np.column_stack([seen.relevant, seen.weight])[order]
    pairs = last + 1
    reached = _reached(masses, last, pairs, goal)
    at = _first(reached, goal, wanted)
    found, values = [], []
    place = np.searchsorted(last, np.arange(len(scores)))
    for counts in _drawn(seen, seed):
        drawn = masses * counts[seen.query[order]][:, None]
        kept = np.cumsum(counts[seen.query[order]])[last]
        own = _first(_reached(drawn, last, kept, goal), goal, wanted)
        if own is not None:
            found.append(_edge(levels, own))
        if at is not None:
            totals = drawn.sum(axis=0)
            within = drawn[place <= at].sum(axis=0)
            values.append((_ratio(within[0], within[1]), _ratio(within[0], totals[0])))
    if at is None:
        return Threshold(
            goal=goal, wanted=wanted, threshold=None, precision=None, recall=None,
            reached_in=len(found) / _RESAMPLES, best=float(reached.max()),
        )  # fmt: skip
    sums = masses[: last[at] + 1].sum(axis=0)
    both = np.array(values)
    return Threshold(
        goal=goal,
        wanted=wanted,
        threshold=_estimate(_edge(levels, at), np.array(found)),
        precision=_estimate(_ratio(sums[0], sums[1]), both[:, 0]),
        recall=_estimate(_ratio(sums[0], float(masses[:, 0].sum())), both[:, 1]),
        reached_in=len(found) / _RESAMPLES,
        best=float(reached.max()),
    )


def _reached(
    masses: NDArray[np.float64], last: NDArray[np.intp], kept: NDArray[np.integer], goal: Goal
) -> Floats:
    """What each level reaches: ``float64 [levels]``, 0 where too few documents are kept."""
    sums = np.cumsum(masses, axis=0)[last]
    whole = sums[:, 1] if goal == "precision" else np.full(len(last), sums[-1, 0])
    shares = np.divide(sums[:, 0], whole, out=np.zeros(len(last)), where=whole > 0)
    return np.where(kept >= KEPT_FROM, shares, 0.0) if goal == "precision" else shares


def _first(reached: Floats, goal: Goal, wanted: float) -> int | None:
    """The level that is looked for, by its number from the highest score on."""
    # What is equal but for rounding reaches it.
    (places,) = np.nonzero(reached >= wanted - 1e-12)
    if not len(places):
        return None
    return int(places[-1] if goal == "precision" else places[0])


def _edge(levels: Floats, at: int) -> float:
    """A threshold halfway to the next score, so that rounding keeps nothing out."""
    low = levels[at + 1] if at + 1 < len(levels) else 0.0
    return float((levels[at] + low) / 2) if low < levels[at] else float(levels[at])


def _drawn(seen: Observed, seed: int) -> NDArray[np.float64]:
    queries = int(seen.query.max()) + 1
    # A list of rows would be the identity; drawn with it, sums are the counts themselves.
    return np.concatenate(list(resampled(np.eye(queries), resamples=_RESAMPLES, seed=seed)))


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0


def _estimate(value: float, drawn: Floats) -> Estimate:
    low, high = percentiles(drawn)
    return Estimate(value=value, low=low, high=high)
