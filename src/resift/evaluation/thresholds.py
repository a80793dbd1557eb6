"""Score thresholds for a wanted precision or recall, with intervals over queries."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from resift.evaluation.intervals import draws, percentiles, wilson
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
    left_out: float | None = None
    """What is reached on queries that the threshold wasn't found on."""
    best: float
    """The most of the goal that any threshold reaches, which keeps ten documents or more."""

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
        if self.left_out is not None:
            said += f"; on other queries {self.left_out:.3f}"
        if self.reached_in < 0.975:
            said += f"; not certain, as {1 - self.reached_in:.0%} of resamples don't reach it"
        return said


def find_threshold(
    seen: Observed,
    goal: Goal,
    wanted: float,
    *,
    fold: NDArray[np.intp] | None = None,
    seed: int = 0,
) -> Threshold:
    """Find the score threshold for a precision or a recall (``wanted``, above 0, up to 1).

    For a precision it is the lowest that has it, and so keeps the most; for a recall the highest.
    Intervals are percentiles over 1,000 resamples of queries: of the threshold, found anew in each,
    and of what the one that is given reaches. ``fold`` has the number of each query's fold: what a
    threshold reaches that was found without it is ``left_out``.
    """
    steps = _Steps.of(seen)
    reached = steps.reached(goal)
    at = _first(reached, goal, wanted)
    found, values = [], []
    for counts in chain.from_iterable(draws(steps.queries, resamples=_RESAMPLES, seed=seed)):
        drawn = steps.drawn(counts)
        own = _first(drawn.reached(goal), goal, wanted)
        if own is not None:
            found.append(steps.edge(own))
        if at is not None:
            values.append(drawn.precision_and_recall(at))
    known: dict[str, Any] = {"goal": goal, "wanted": wanted, "best": float(reached.max())}
    share = len(found) / _RESAMPLES
    if at is None:
        return Threshold(**known, threshold=None, precision=None, recall=None, reached_in=share)
    precision, recall = steps.precision_and_recall(at)
    both = np.array(values)
    bound = steps.least_precision(at)
    return Threshold(
        **known,
        threshold=_estimate(steps.edge(at), np.array(found)),
        precision=_estimate(precision, both[:, 0], least=bound),
        recall=_estimate(recall, both[:, 1]),
        reached_in=share,
        left_out=None if fold is None else _left_out(seen, goal, wanted, fold[seen.query]),
    )


def _left_out(seen: Observed, goal: Goal, wanted: float, fold: NDArray[np.intp]) -> float | None:
    """Measure thresholds on queries that they weren't found on; ``None`` where there is none."""
    kept = np.zeros(len(seen.chances), np.bool_)
    for each in np.unique(fold):
        steps = _Steps.of(seen.only(fold != each))
        at = _first(steps.reached(goal), goal, wanted)
        if at is None:
            return None
        kept |= (fold == each) & (seen.chances >= steps.edge(at))
    whole = seen.weight[kept].sum() if goal == "precision" else seen.relevant.sum()
    return _ratio(float(seen.relevant[kept].sum()), float(whole))


@dataclass(frozen=True, slots=True)
class _Steps:
    """Pairs from the highest score on, equal scores together."""

    masses: NDArray[np.float64]
    """How much of each pair is relevant, and how much it counts: ``[pairs, 2]``."""
    kept: NDArray[np.float64]
    """How often each pair was drawn."""
    query: NDArray[np.intp]
    last: NDArray[np.intp]
    """The last pair of each score."""
    scores: Floats
    """``[levels]``, falling."""
    weights: tuple[float, float]
    """The weight of a relevant pair, and of another."""

    @classmethod
    def of(cls, seen: Observed) -> _Steps:
        order = np.argsort(-seen.chances, kind="stable")
        scores = seen.chances[order]
        last = np.append(np.flatnonzero(np.diff(scores) < 0), len(scores) - 1)
        masses = np.column_stack([seen.relevant, seen.weight])[order]
        return cls(masses, np.ones(len(order)), seen.query[order], last, scores[last], seen.weights)

    @property
    def queries(self) -> int:
        return int(self.query.max()) + 1

    def drawn(self, counts: NDArray[np.int64]) -> _Steps:
        """The same, with each query as often as it was drawn."""
        often = counts[self.query].astype(np.float64)
        return replace(self, masses=self.masses * often[:, None], kept=often)

    def reached(self, goal: Goal) -> Floats:
        """The goal that each level reaches: ``[levels]``, 0 where too few documents are kept.

        For a precision, half a document that isn't relevant is added to those kept, as nothing
        wrong among a few is no evidence that nothing ever is, and least where relevant ones are
        rare.
        """
        sums = np.cumsum(self.masses, axis=0)[self.last]
        wrong = sums[:, 1] + self.weights[1] / 2
        whole = wrong if goal == "precision" else np.full(len(sums), sums[-1, 0])
        shares = np.divide(sums[:, 0], whole, out=np.zeros(len(sums)), where=whole > 0)
        enough = np.cumsum(self.kept)[self.last] >= KEPT_FROM
        return np.where(enough, shares, 0.0) if goal == "precision" else shares

    def precision_and_recall(self, at: int) -> tuple[float, float]:
        """Measure the threshold at a level."""
        relevant, weight = self.masses[: self.last[at] + 1].sum(axis=0)
        return _ratio(relevant, weight), _ratio(relevant, float(self.masses[:, 0].sum()))

    def least_precision(self, at: int) -> float:
        """The lower end of Wilson's interval; resamples of all right documents are all right."""
        kept = float(self.last[at] + 1)
        up, down = self.weights
        right = float(self.masses[: self.last[at] + 1, 0].sum()) / up
        low, _ = wilson(min(1.0, right / kept), kept)
        return _ratio(low * up, low * up + (1 - low) * down)

    def edge(self, at: int) -> float:
        """A threshold halfway to the next score, so that rounding keeps nothing out."""
        low = self.scores[at + 1] if at + 1 < len(self.scores) else 0.0
        return float((self.scores[at] + low) / 2)


def _first(reached: Floats, goal: Goal, wanted: float) -> int | None:
    """The level that is looked for, by its number from the highest score on."""
    # What is equal but for rounding reaches it.
    (places,) = np.nonzero(reached >= wanted - 1e-12)
    if not len(places):
        return None
    return int(places[-1] if goal == "precision" else places[0])


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0


def _estimate(value: float, drawn: Floats, least: float = math.inf) -> Estimate:
    low, high = percentiles(drawn)
    return Estimate(value=value, low=min(low, least), high=high)
