"""Measures of chances, their intervals, and thresholds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from calibration_fit.simulated import INTERCEPT, SLOPE, chance, simulated

from resift.evaluation.calibration_fit import fold_of_queries
from resift.evaluation.intervals import wilson
from resift.evaluation.reliability import Observed, quality
from resift.evaluation.thresholds import KEPT_FROM, find_threshold


def test_measures_are_those_of_hand() -> None:
    p, y = np.array([0.1, 0.1, 0.8, 0.8]), np.array([0.0, 1.0, 1.0, 1.0])
    found = quality(Observed.of(p, y, np.arange(4), binary=True))
    assert found.brier.value == pytest.approx((0.01 + 0.81 + 0.04 + 0.04) / 4)
    expected = -(math.log(0.9) + math.log(0.1) + 2 * math.log(0.8)) / 4
    assert found.log_loss.value == pytest.approx(expected)
    # Two bins: 0.5 observed for 0.1, and 1 for 0.8.
    assert found.ece.value == pytest.approx((2 * 0.4 + 2 * 0.2) / 4)
    assert [(each.pairs, each.observed) for each in found.equal_counts] == [(2, 0.5), (2, 1.0)]
    assert sum(found.histogram) == 4


def test_wilsons_interval_is_the_published_one() -> None:
    # Newcombe (1998), table I: 81 of 263, and 0 of 20.
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    inside = 0
    for seed in range(60):
        data = simulated(80, seed=seed, hard=1.0)
        truth = chance(SLOPE * data.logits + INTERCEPT)
        found = quality(Observed.of(truth, data.labels, data.query, binary=True)).brier
        expected = float((truth * (1 - truth)).mean())
        inside += found.low <= expected <= found.high
    assert 51 <= inside <= 60


def test_there_are_10_to_15_bins_of_equal_counts() -> None:
    for queries, bins in ((20, 10), (60, 12), (300, 15)):
        data = simulated(queries)
        found = quality(
            Observed.of(chance(data.logits), data.labels, data.query, binary=True)
        ).equal_counts
        assert len(found) == bins
        assert np.ptp([each.pairs for each in found]) <= 1


def test_a_threshold_reaches_what_is_wanted_and_keeps_the_most() -> None:
    data = simulated(300)
    seen = Observed.of(chance(data.logits), data.labels, data.query, binary=True)
    found = find_threshold(seen, "precision", 0.8, fold=fold_of_queries(data))
    assert found.threshold is not None
    assert found.precision is not None
    kept = seen.chances >= found.threshold.value
    assert data.labels[kept].mean() == found.precision.value >= 0.8
    assert found.threshold.low <= found.threshold.value <= found.threshold.high
    lower = np.unique(seen.chances[~kept])[::-1]
    assert all(data.labels[seen.chances >= each].mean() < 0.801 for each in lower)
    assert found.left_out == pytest.approx(0.8, abs=0.05)
    assert found.reached_in > 0.99

    found = find_threshold(seen, "recall", 0.9, fold=fold_of_queries(data))
    assert found.threshold is not None
    assert found.recall is not None
    kept = seen.chances >= found.threshold.value
    assert data.labels[kept].sum() / data.labels.sum() == found.recall.value >= 0.9
    assert found.recall.value < 0.9 + 2 / data.labels.sum()


def test_a_precision_that_labels_cannot_show_is_not_reached() -> None:
    data = simulated(50)
    chances = chance(data.logits)
    noise = np.random.default_rng(0).random(len(chances))
    blind = find_threshold(
        Observed.of(noise, data.labels, data.query, binary=True), "precision", 0.95
    )
    assert blind.threshold is None
    assert blind.best < 0.95
    assert "can't be reached" in str(blind)
    # A dozen right documents are no evidence where one wrong one in use weighs as much as fifty.
    few = np.zeros(len(chances))
    few[np.flatnonzero(data.labels)[: KEPT_FROM + 2]] = 1.0
    args = {"binary": True}
    here = Observed.of(few, data.labels, data.query, **args)
    rare = Observed.of(few, data.labels, data.query, **args, share_in_use=0.005)
    assert find_threshold(here, "precision", 0.9).threshold is not None
    assert find_threshold(rare, "precision", 0.9).threshold is None
