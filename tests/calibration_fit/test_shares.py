"""Shares of relevant documents in use, and of clicks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from calibration_fit.simulated import Floats, chance
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from resift.errors import InvalidRequestError
from resift.evaluation.calibration_fit import Labelled, fit_curve
from resift.evaluation.reliability import Observed, quality
from resift.evaluation.shares import labels_of_clicks, propensities_of, share_of_traffic, shift_of

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
