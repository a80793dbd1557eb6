"""Curves from logits to chances: against known truth, brute force and other queries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from resift.calibrations import Curve
from resift.errors import InvalidRequestError
from resift.evaluation.calibration_fit import (
    FOLDS,
    Labelled,
    choose_kind,
    fit_curve,
    fold_of_queries,
    isotonic_steps,
    left_out,
    pool_adjacent_violators,
)
from resift.evaluation.intervals import wilson
from resift.evaluation.reliability import Observed, quality
from resift.evaluation.shares import (
    labels_of_clicks,
    propensities_of,
    share_of_traffic,
    shift_of,
)
from resift.evaluation.thresholds import KEPT_FROM, find_threshold

Floats = NDArray[np.float64]

SLOPE, INTERCEPT = 0.6, -1.0


def chance(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))


def simulated(
    queries: int, documents: int = 10, *, seed: int = 0, slope: float = SLOPE,
    intercept: float = INTERCEPT, hard: float = 0.0,
) -> Labelled:  # fmt: skip
    """Pairs whose chance of relevance is known; ``hard`` moves all logits of a query."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (queries, documents)) + hard * rng.normal(0, 1, (queries, 1))
    labels = rng.random(logits.shape) < chance(slope * logits + intercept)
    query = np.repeat(np.arange(queries), documents)
    return Labelled.of(
        logits.ravel().tolist(), labels.ravel().astype(float).tolist(), query.tolist()
    )


values = st.lists(st.floats(-5, 5), min_size=1, max_size=12)


@given(values, st.data())
@settings(max_examples=30, deadline=None)
def test_pooling_equals_the_formula_of_isotonic_regression(
    given_values: list[float], data: st.DataObject
) -> None:
    y = np.array(given_values)
    size = len(given_values)
    w = np.array(data.draw(st.lists(st.floats(0.1, 9), min_size=size, max_size=size)))
    # Barlow and others (1972): the largest, over starts, of the least mean over ends.
    expected = [
        max(
            min(float(np.average(y[a : b + 1], weights=w[a : b + 1])) for b in range(at, len(y)))
            for a in range(at + 1)
        )
        for at in range(len(y))
    ]
    np.testing.assert_allclose(pool_adjacent_violators(y, w), expected, atol=1e-9)


def test_pooling_equals_scipys() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(0)
    y, w = rng.normal(np.arange(500) / 100, 1), rng.uniform(0.5, 2, 500)
    expected = optimize.isotonic_regression(y, weights=w).x
    np.testing.assert_allclose(pool_adjacent_violators(y, w), expected, atol=1e-9)


def test_steps_are_the_pooled_levels_and_stay_off_0_and_1() -> None:
    data = simulated(200, seed=3)
    curve = Curve(kind="isotonic", steps=isotonic_steps(data.logits, data.labels))
    order = np.argsort(data.logits)
    pooled = pool_adjacent_violators(data.labels[order], np.ones(len(order)))
    # Smoothing moves labels of 0 and 1 by one over their number.
    np.testing.assert_allclose(curve(data.logits[order]), pooled, atol=2 / 600)
    found = curve(np.array([-1e9, 1e9]))
    assert 0 < found[0] < found[1] < 1


@pytest.mark.parametrize("kind", ["temperature", "platt", "isotonic"])
@given(st.lists(st.floats(-50, 50), min_size=2, max_size=40), st.floats(-6, 6))
@settings(max_examples=30, deadline=None)
def test_no_curve_ever_falls(kind: str, logits: list[float], shift: float) -> None:
    steps = ((-3.0, 0.1), (0.0, 0.4), (2.5, 0.9)) if kind == "isotonic" else ()
    slope, intercept = (1.0, 0.0) if kind == "isotonic" else (0.7, 0.0)
    curve = Curve(
        kind=kind, steps=steps, slope=slope, intercept=intercept, shift=shift,  # type: ignore[arg-type]
    )  # fmt: skip
    scores = curve(np.sort(np.array(logits)))
    assert (np.diff(scores) >= 0).all()
    assert ((scores >= 0) & (scores <= 1)).all()


def test_platt_scaling_finds_the_truth() -> None:
    curve = fit_curve("platt", simulated(2000))
    assert curve.slope == pytest.approx(SLOPE, abs=0.03)
    assert curve.intercept == pytest.approx(INTERCEPT, abs=0.06)


def test_a_temperature_finds_the_truth_and_keeps_the_zero_point() -> None:
    curve = fit_curve("temperature", simulated(2000, slope=0.4, intercept=0.0))
    assert curve.slope == pytest.approx(0.4, abs=0.02)
    assert curve(np.zeros(1))[0] == 0.5


def test_isotonic_steps_find_the_truth() -> None:
    data = simulated(2000)
    curve = fit_curve("isotonic", data)
    grid = np.linspace(-6, 6, 50)
    assert np.abs(curve(grid) - chance(SLOPE * grid + INTERCEPT)).max() < 0.06


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_chances_do_not_depend_on_the_scale_of_logits(scale: float) -> None:
    data = simulated(100)
    scaled = Labelled(data.logits * scale, data.labels, data.query, data.names)
    for kind in ("temperature", "platt", "isotonic"):
        one, other = fit_curve(kind, data), fit_curve(kind, scaled)
        # Of isotonic steps, an edge halfway between two logits may round to either.
        np.testing.assert_allclose(other(scaled.logits), one(data.logits), atol=1e-6)


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


@pytest.mark.parametrize(
    ("logits", "labels", "queries", "message"),
    [
        ([1.0, 2.0], [0, 1, 1], ["a", "b"], "a logit, a label and a query"),
        ([1.0, math.nan], [0, 1], ["a", "b"], "finite"),
        ([1.0, 2.0], [1, 1], ["a", "b"], "2 above 0 among 2"),
        ([1.0, 2.0], [0, -1], ["a", "b"], "labels from 0"),
        ([1.0, 2.0], [0, 1], ["a", "b"], "needs 10 of them at least; got 2"),
    ],
)
def test_what_cannot_be_fitted(
    logits: list[float], labels: list[float], queries: list[str], message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        Labelled.of(logits, labels, queries)


def test_a_model_that_is_the_wrong_way_round_is_refused() -> None:
    data = simulated(100, slope=-0.6)
    for fit in (choose_kind, lambda each: fit_curve("platt", each)):
        with pytest.raises(InvalidRequestError, match="relevance doesn't rise with the logits"):
            fit(data)
    with pytest.raises(InvalidRequestError, match="needs 1000 labels or more, and there are 990"):
        fit_curve("isotonic", simulated(99))
    assert fit_curve("isotonic", simulated(100)).kind == "isotonic"


shares = st.floats(0.001, 0.999)


@given(shares, shares, st.floats(-8, 8))
@settings(deadline=None)
def test_a_shift_there_and_back_is_none(use: float, fit: float, logit: float) -> None:
    assert shift_of(use, fit) == pytest.approx(-shift_of(fit, use), abs=1e-9)
    there = chance(np.array([logit + shift_of(use, fit)]))
    odds = float(there[0] / (1 - there[0]))
    # Bayes, with the shares as priors.
    assert odds == pytest.approx(
        math.exp(logit) * (use / (1 - use)) / (fit / (1 - fit)), rel=1e-6
    )  # fmt: skip


def test_a_shift_makes_chances_right_where_relevant_documents_are_rarer() -> None:
    def drawn(share: float, count: int, seed: int) -> tuple[Floats, Floats]:
        rng = np.random.default_rng(seed)
        labels = rng.random(count) < share
        return rng.normal(np.where(labels, 2.0, -2.0), 2.0), labels.astype(float)

    x, y = drawn(0.5, 20_000, 1)
    curve = fit_curve("platt", Labelled.of(x.tolist(), y.tolist(), list(range(20_000))))
    there, labels = drawn(0.02, 50_000, 2)
    shift = shift_of(0.02, float(y.mean()))
    query = np.arange(50_000) // 50
    found = [
        quality(Observed.of(chance(curve.slope * there + curve.intercept + each), labels, query,
                            binary=True))
        for each in (0.0, shift)
    ]  # fmt: skip
    assert found[0].ece.low > 0.05
    assert found[1].ece.value < 0.005
    assert found[1].log_loss.high < found[0].log_loss.low
    estimated = share_of_traffic(curve(there), float(y.mean()))
    assert estimated == pytest.approx(labels.mean(), abs=0.005)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, math.nan])
def test_a_share_lies_between_0_and_1(share: float) -> None:
    with pytest.raises(InvalidRequestError, match="in use must lie between 0 and 1"):
        shift_of(share, 0.5)


def test_traffic_without_anything_relevant_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="none of it were relevant"):
        share_of_traffic(np.full(100, 1e-6), 0.5)


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


def clicks_of(
    propensity: Floats, *, shuffled: bool, seed: int = 0
) -> tuple[list[tuple[int, int]], NDArray[np.intp], NDArray[np.bool_], Floats]:
    """Impressions of a position-based model: documents, ranks, clicks and logits."""
    rng = np.random.default_rng(seed)
    documents, ranks, clicked, logits = [], [], [], []
    for query in range(400):
        x = rng.normal(0, 2, len(propensity))
        relevant = rng.random(len(x)) < chance(x)
        for _ in range(6):
            order = rng.permutation(len(x)) if shuffled else np.argsort(-x)
            for rank, each in enumerate(order.tolist()):
                documents.append((query, each))
                ranks.append(rank + 1)
                clicked.append(bool(relevant[each] and rng.random() < propensity[rank]))
                logits.append(float(x[each]))
    return documents, np.array(ranks), np.array(clicked), np.array(logits)


PROPENSITY = np.array([1.0, 0.7, 0.45, 0.3])


def test_propensities_are_found_where_documents_moved() -> None:
    documents, ranks, clicked, _ = clicks_of(PROPENSITY, shuffled=True)
    found = propensities_of(documents, ranks, clicked)
    assert [found[rank] for rank in (1, 2, 3, 4)] == pytest.approx(PROPENSITY, abs=0.05)


def test_propensities_are_refused_where_rank_and_relevance_are_one() -> None:
    documents, ranks, clicked, _ = clicks_of(PROPENSITY, shuffled=False)
    with pytest.raises(InvalidRequestError, match=r"propensities can't be estimated.*shuffle"):
        propensities_of(documents, ranks, clicked)


def test_weighing_by_propensity_finds_relevance_and_taking_clicks_as_they_are_does_not() -> None:
    documents, ranks, clicked, logits = clicks_of(PROPENSITY, shuffled=True, seed=4)
    queries = [query for query, _ in documents]
    known = dict(enumerate(PROPENSITY.tolist(), start=1))
    weighed = labels_of_clicks(clicked, ranks, known)
    fair = fit_curve("platt", Labelled.of(logits.tolist(), weighed.tolist(), queries))
    naive = fit_curve("platt", Labelled.of(logits.tolist(), clicked.tolist(), queries))
    at_zero = np.zeros(1)
    assert fair(at_zero)[0] == pytest.approx(0.5, abs=0.05)
    assert fair.slope == pytest.approx(1.0, abs=0.12)
    assert naive(at_zero)[0] < 0.4
    with pytest.raises(InvalidRequestError, match="no propensity for rank 4"):
        labels_of_clicks(clicked, ranks, {1: 1.0, 2: 0.7, 3: 0.4})
