"""The kind of curve that is chosen, by queries left out."""

from __future__ import annotations

import numpy as np
import pytest
from calibration_fit.simulated import simulated

from resift.errors import InvalidRequestError
from resift.evaluation.calibration_fit import (
    FOLDS,
    Labelled,
    choose_kind,
    fit_curve,
    fold_of_queries,
    left_out,
)


def test_nothing_depends_on_the_order_of_pairs() -> None:
    data = simulated(60, seed=5)
    order = np.random.default_rng(1).permutation(len(data.logits))
    names = [data.names[each] for each in data.query[order]]
    mixed = Labelled.of(data.logits[order].tolist(), data.labels[order].tolist(), names)
    np.testing.assert_allclose(left_out("platt", mixed), left_out("platt", data)[order], atol=1e-9)


def test_a_query_is_in_one_fold_and_each_fold_has_relevant_ones() -> None:
    data = simulated(53, documents=3, intercept=-4.0)
    fold = fold_of_queries(data)
    assert len(fold) == 53
    relevant = {int(each) for each in data.query[data.labels > 0]}
    counts = np.bincount(fold[sorted(relevant)], minlength=FOLDS)
    assert np.ptp(counts) <= 1


def test_chances_left_out_do_not_know_their_own_query() -> None:
    data = simulated(40, documents=5)
    chances = left_out("platt", data)
    turned = data.labels.copy()
    turned[data.query == 7] = 1 - turned[data.query == 7]
    again = left_out("platt", Labelled(data.logits, turned, data.query, data.names))
    own, same_fold = data.query == 7, fold_of_queries(data)[data.query] == fold_of_queries(data)[7]
    np.testing.assert_array_equal(again[own], chances[own])
    assert (again[~same_fold] != chances[~same_fold]).any()


def test_the_simplest_kind_that_is_as_good_is_chosen() -> None:
    assert choose_kind(simulated(300, slope=0.5, intercept=0.0))[0] == "temperature"
    kind, trials = choose_kind(simulated(300))
    assert kind == "platt"
    assert [each.kind for each in trials] == ["temperature", "platt", "isotonic"]
    assert trials[0].over_best.low > 0
    assert [each.kind for each in choose_kind(simulated(99))[1]] == ["temperature", "platt"]


def test_a_model_whose_logits_are_all_above_0_is_calibrated() -> None:
    data = simulated(99, intercept=-2.0)
    high = Labelled(data.logits + 30, data.labels, data.query, data.names)
    with pytest.raises(InvalidRequestError, match="no temperature fits"):
        fit_curve("temperature", high)
    kind, trials = choose_kind(high)
    assert (kind, [each.kind for each in trials]) == ("platt", ["platt"])
    np.testing.assert_allclose(left_out("platt", high), left_out("platt", data), atol=1e-6)


def test_isotonic_is_chosen_where_no_sigmoid_fits() -> None:
    rng = np.random.default_rng(0)
    logits = rng.uniform(-10, 10, 6000)
    truth = np.select([logits < -5, logits < 0, logits < 5], [0.02, 0.6, 0.65], 0.7)
    labels = (rng.random(6000) < truth).astype(float)
    data = Labelled.of(logits.tolist(), labels.tolist(), np.repeat(np.arange(600), 10).tolist())
    assert choose_kind(data)[0] == "isotonic"
