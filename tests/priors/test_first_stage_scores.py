"""Scores that documents come with: odd, wrong and right ones."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
import pytest
from priors.inputs import TEXTS
from rankings import facts, order

from resift import InvalidRequestError, Prior, Reranker

WARNING = "contradict the order"


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ([5, 4, 3, 2, 1], ""),
        ([5, 5, 3, 3 + 1e-12, 1], ""),
        ([1, 2, 3, 4, 5], WARNING),
        ([0.9, 0.8, 12.5, 11.0, 3.0], f"{WARNING} of the documents: 1 of 5"),
        ([5, None, 3, math.nan, 1], "2 of 5 documents have no finite first-stage score"),
        ([5, math.inf, 3, 2, 1], "1 of 5 documents have no finite"),
        ([0.5] * 5, "All first-stage scores are 0.5"),
        (None, "there are none"),
        ([None] * 5, "5 of 5 documents have no finite"),
    ],
    ids=str,
)
def test_odd_scores_are_said_and_harmless(
    reranker: Reranker, caplog: pytest.LogCaptureFixture, scores: Any, says: str
) -> None:
    prior = Prior(place_weight=0.1, score_weight=0.5, score_centre=1.0)
    with caplog.at_level(logging.WARNING, "resift"):
        ranking = reranker.rank("a", TEXTS, prior=prior, first_stage_scores=scores)
    assert bool(caplog.messages) == bool(says)
    assert says in " ".join(caplog.messages)
    assert sorted(order(ranking)) == [0, 1, 2, 3, 4]
    for each in ranking:
        assert each.logit is not None
        score = None if scores is None else scores[each.index]
        part = 0.5 * (score - 1.0) if score is not None and math.isfinite(score) else 0.0
        expected = each.logit - 0.1 * math.log1p(each.index) + part
        assert each.posterior == pytest.approx(expected)


def test_distances_fall_in_importance_as_they_rise(
    reranker: Reranker, caplog: pytest.LogCaptureFixture
) -> None:
    near = Prior(place_weight=0.0, score_weight=-1.0)
    with caplog.at_level(logging.WARNING, "resift"):
        reranker.rank("a", TEXTS, prior=near, first_stage_scores=[1, 2, 3, 4, 5])
        assert not caplog.messages
        reranker.rank("a", TEXTS, prior=near, first_stage_scores=[5, 4, 3, 2, 1])
    assert WARNING in caplog.text


def test_an_order_that_scores_contradict_is_said_for_places_alone(
    reranker: Reranker, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "resift"):
        reranker.rank("a", TEXTS, prior=0.2, first_stage_scores=[1, 2, None, 4, 5])
        assert WARNING in caplog.text
        caplog.clear()
        reranker.rank("a", TEXTS, prior=0, first_stage_scores=[1, 2, 3, 4, 5])
    assert not caplog.messages


def test_scores_are_read_once_and_by_request(reranker: Reranker) -> None:
    prior = Prior(place_weight=0.0, score_weight=1.0)
    requests = [("a", TEXTS), ("b", TEXTS[:2]), ("a", [])]
    scores = [np.arange(5, 0, -1, dtype=np.float32), None, ()]
    together = reranker.rank_many(requests, prior=prior, first_stage_scores=iter(scores))
    apart = [
        reranker.rank(*request, prior=prior, first_stage_scores=each)
        for request, each in zip(requests, scores, strict=True)
    ]
    assert [facts(each) for each in together] == [facts(each) for each in apart]


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ([1.0], "one for each of the 5 documents"),
        (5, "first_stage_scores must be a list"),
        ("12345", "first_stage_scores must be a list"),
        ([1, 2, "3", 4, 5], r"first_stage_scores\[2\] must be a number or None"),
        ([1, 2, True, 4, 5], r"first_stage_scores\[2\]"),
    ],
    ids=str,
)
def test_wrong_scores_are_refused(reranker: Reranker, scores: Any, says: str) -> None:
    with pytest.raises(InvalidRequestError, match=says):
        reranker.rank("a", TEXTS, first_stage_scores=scores)
    with pytest.raises(InvalidRequestError, match=rf"requests\[1\]: .*{says}"):
        reranker.rank_many([("a", TEXTS)] * 2, first_stage_scores=[None, scores])
    with pytest.raises(InvalidRequestError, match="each of the 1 requests"):
        reranker.rank_many([("a", TEXTS)], first_stage_scores=[])
