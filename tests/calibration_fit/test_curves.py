"""Curves from logits to chances: against known truth, formulas and other libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from calibration_fit.simulated import INTERCEPT, SLOPE, chance, simulated
from hypothesis import given, settings
from hypothesis import strategies as st

from resift.calibrations import Curve
from resift.errors import InvalidRequestError
from resift.evaluation.calibration_fit import (
    Labelled,
    choose_kind,
    fit_curve,
    isotonic_steps,
    pool_adjacent_violators,
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
