"""``Prior.fit``: the rule that it finds, and what its report says."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from priors.inputs import TEXTS
from rankings import facts

from resift import Calibration, FittedPrior, InvalidRequestError, Prior, Reranker


def simulated(queries: int, *, place: float, score: float = 0.0, logit: float = 1.0) -> Any:
    """Judged documents whose labels are drawn by a known rule."""
    rng = np.random.default_rng(7)
    size = 20
    logits = rng.normal(-1, 2, (queries, size))
    scores = np.sort(rng.normal(10, 3, (queries, size)), axis=1)[:, ::-1]
    places = np.tile(np.arange(size), (queries, 1))
    odds = logit * logits - place * np.log1p(places) + score * (scores - 10)
    labels = rng.random((queries, size)) < 1 / (1 + np.exp(-odds))
    return logits.ravel(), places.ravel(), labels.ravel().astype(int), scores.ravel()


def test_a_fit_finds_the_rule() -> None:
    logits, places, labels, scores = simulated(2000, place=0.6, score=0.3, logit=0.8)
    prior = Prior.fit(logits, places, labels, scores)
    assert isinstance(prior, FittedPrior)
    assert prior.place_weight == pytest.approx(0.6 / 0.8, abs=0.1)
    assert prior.score_weight == pytest.approx(0.3 / 0.8, abs=0.04)
    assert prior.score_centre == pytest.approx(10, abs=0.2)
    # Slope and intercept belong to logit and prior added up.
    assert prior.calibration.slope == pytest.approx(0.8, abs=0.05)
    assert prior.calibration.intercept == pytest.approx(0, abs=0.2)
    posterior = logits + prior(places, scores)
    again = Calibration.fit(posterior, labels)
    assert again.slope == pytest.approx(prior.calibration.slope, rel=0.02)
    chances = prior.calibration(posterior)
    likely = (chances > 0.6) & (chances < 0.8)
    assert labels[likely].mean() == pytest.approx(chances[likely].mean(), abs=0.03)


def test_a_fit_is_not_moved_by_how_hard_queries_are() -> None:
    logits, places, labels, _ = simulated(1000, place=0.5)
    plain = Prior.fit(logits, places, labels)
    assert plain.place_weight == pytest.approx(0.5, abs=0.06)
    # As much for each document of a query, so that no order changes.
    shifted = logits + np.repeat(np.random.default_rng(2).normal(0, 5, 1000), 20)
    assert Prior.fit(shifted, places, labels).place_weight == pytest.approx(plain.place_weight)


def test_a_fit_of_documents_that_are_told_apart_at_once_is_finite() -> None:
    logits = [3.0, 1.0, 0.0, 2.0, 1.5, -1.0]
    prior = Prior.fit(logits, [0, 1, 2] * 2, [1, 0, 0] * 2)
    assert 0 <= prior.place_weight < 10
    assert math.isfinite(prior.calibration.slope)


def test_a_fit_is_tested_on_other_queries() -> None:
    logits, places, labels, _ = simulated(300, place=1.0)
    report = Prior.fit(logits, places, labels).report
    assert report is not None
    assert 250 < report.queries <= 300
    assert report.with_prior > report.reranker > report.first_stage
    assert report.over_first_stage.low > 0
    assert report.over_first_stage.mean == pytest.approx(report.with_prior - report.first_stage)
    assert report.over_reranker.low > 0
    assert "better than either" in report.advice
    assert report.advice in str(report)


def test_a_fit_says_when_the_first_stage_is_as_good() -> None:
    logits, places, labels, _ = simulated(200, place=2.0, logit=0.12)
    report = Prior.fit(logits, places, labels).report
    assert report is not None
    assert "first stage alone may be as good" in report.advice
    assert report.over_first_stage.low <= 0


def test_a_fit_says_when_not_to_rerank() -> None:
    logits, places, labels, _ = simulated(200, place=1.0)
    with pytest.raises(InvalidRequestError, match="Don't use this reranker"):
        Prior.fit(-logits, places, labels)


def test_a_fit_leaves_out_what_says_nothing() -> None:
    logits, places, labels, scores = simulated(200, place=-0.5)
    nothing: Any = [None] * len(logits)
    for useless in (nothing, [3.0] * len(logits)):
        prior = Prior.fit(logits, places, labels, useless)
        assert (prior.place_weight, prior.score_weight) == (0.0, 0.0)
        assert prior.report is not None
        assert "Relevance rises with the place" in str(prior.report)
        assert "scores are missing or all the same" in str(prior.report)
    holes = [None if n % 5 == 0 else float(x) for n, x in enumerate(scores)]
    report = Prior.fit(logits, places, labels, holes).report
    assert report is not None
    assert "800 documents have no finite" in str(report)


def test_queries_are_told_apart() -> None:
    logits, places, labels, _ = simulated(40, place=1.0)
    named = [f"q{n // 20}" for n in range(len(logits))]
    plain = Prior.fit(logits, places, labels)
    assert Prior.fit(logits, places, labels, queries=named).report == plain.report
    # In any order of the documents.
    shuffled = np.random.default_rng(1).permutation(len(logits))
    mixed = Prior.fit(
        logits[shuffled], places[shuffled], labels[shuffled], queries=[named[i] for i in shuffled]
    )
    assert mixed.place_weight == pytest.approx(plain.place_weight)
    assert mixed.report is not None
    assert plain.report is not None
    assert mixed.report.first_stage == pytest.approx(plain.report.first_stage)
    assert Prior.fit(logits[:20], places[:20], labels[:20]).report is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"logits": [1.0, math.nan, 0.0, 0.0]}, "logits must be finite"),
        ({"logits": ["x", 1, 2, 3]}, "logits must be numbers"),
        ({"places": [0, 1, 2]}, "as many places"),
        ({"places": [0, 1, -2, 3]}, "whole numbers from 0"),
        ({"places": [0, 0.5, 2, 3]}, "whole numbers from 0"),
        ({"labels": [0, 0, 0, 0]}, "both present"),
        ({"labels": [0, 1, 2, 0]}, "labels of 0 and 1"),
        ({"first_stage_scores": [1.0]}, "as many first_stage_scores"),
        ({"queries": ["q"]}, "as many queries"),
        ({"logits": [[1, 2], [3, 4]]}, "in one dimension"),
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_refused(change: dict[str, Any], says: str) -> None:
    given_: dict[str, Any] = {
        "logits": [2.0, 1.0, 0.5, -1.0],
        "places": [0, 1, 2, 3],
        "labels": [1, 0, 1, 0],
    }
    with pytest.raises(InvalidRequestError, match=says):
        Prior.fit(**{**given_, **change})


def test_a_fitted_prior_is_an_option(reranker: Reranker) -> None:
    fitted = Prior.fit(*simulated(50, place=0.5)[:3])
    made = Reranker(
        reranker.options["model"], backend="onnx", prior=fitted, normalization=fitted.calibration
    )
    ranking = made.rank("a", TEXTS)
    assert ranking.prior == Prior(**fitted.to_dict())
    assert pickle.loads(pickle.dumps(fitted)) == fitted
    assert facts(ranking) == facts(pickle.loads(pickle.dumps(made)).rank("a", TEXTS))
