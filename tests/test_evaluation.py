"""Measures of rankings: against trec_eval's, and against sums worked out by hand."""

from __future__ import annotations

from math import log2, nan
from typing import Any

import numpy as np
import pytest

from resift.errors import InvalidRequestError
from resift.evaluation.measures import in_order, ndcg, reciprocal_rank


@pytest.mark.parametrize(
    ("ranked", "judged", "at_3", "at_10", "reciprocal"),
    [
        # Some that were judged aren't ranked.
        ([0, 2, 1, 3, 0, 0, 1], [3, 2, 1, 1, 0, 0, 0, 2], 0.334835908247, 0.557164969335, 0.5),
        # The only relevant one is the eleventh.
        ([0] * 10 + [3], [3, 1], 0, 0, 0),
        # Below 0 is not relevant.
        ([1, -1, 2], [1, -1, 2, 3], 0.420003991508, 0.420003991508, 1),
        # Fewer are ranked than are measured, and more are judged.
        ([2, 1], [1] * 11 + [2] * 2, 0.699369486972, 0.426096753029, 1),
    ],
)
def test_linear_gains_are_those_of_trec_eval(
    ranked: list[float], judged: list[float], at_3: float, at_10: float, reciprocal: float
) -> None:
    # Written down from pytrec_eval-terrier 0.5.11: ndcg_cut_3, ndcg_cut_10, and recip_rank of 10.
    assert ndcg(ranked, judged, gains="linear", k=3) == pytest.approx(at_3)
    assert ndcg(ranked, judged, gains="linear") == pytest.approx(at_10)
    assert reciprocal_rank(ranked) == reciprocal


def test_exponential_gains_are_those_of_burges() -> None:
    best = 7 / log2(2) + 3 / log2(3) + 1 / log2(4)
    found = 1 / log2(2) + 0 / log2(3) + 7 / log2(4)
    assert ndcg([1, 0, 3], [0, 1, 2, 3], gains="exponential") == pytest.approx(found / best)
    assert ndcg([1, -1, 3], [-1, 1, 2, 3], gains="exponential") == pytest.approx(found / best)
    binary = [0, 1, 0, 1], [1, 1, 1, 0, 0]
    assert ndcg(*binary, gains="exponential") == pytest.approx(ndcg(*binary, gains="linear"))


def test_the_best_ranking_has_1_and_nothing_to_find_has_0() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        judged = rng.integers(-1, 4, size=rng.integers(1, 30))
        best = 1 if judged.max() > 0 else 0
        assert ndcg(np.sort(judged)[::-1], judged, gains="exponential") == best
        assert ndcg(rng.permutation(judged), judged, gains="linear") <= best
    assert ndcg([0, 0], [0, 0], gains="linear") == 0
    assert ndcg([], [], gains="linear") == 0


def test_a_query_without_a_ranking_has_0() -> None:
    assert ndcg([], [1, 0], gains="linear") == 0
    assert reciprocal_rank([]) == 0


def test_a_reciprocal_rank_is_of_the_first_that_is_relevant_enough() -> None:
    assert reciprocal_rank([0, 1, 2]) == 1 / 2
    assert reciprocal_rank([0, 1, 2], relevant=2) == 1 / 3
    assert reciprocal_rank([0, 1, 2], k=2, relevant=2) == 0


def test_equal_scores_keep_their_order() -> None:
    assert in_order([0.5, 0.9, 0.5, -1.0, 0.9]).tolist() == [1, 4, 0, 2, 3]
    assert in_order([nan, 0.0, float("-inf"), 2.0]).tolist() == [3, 1, 2, 0]
    assert in_order([0.0] * 100).tolist() == list(range(100))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"gains": "log"}, "gains must be one of"),
        ({"k": 0}, "k must be 1 or more, not 0"),
        ({"ranked": [nan]}, "finite numbers in one dimension"),
        ({"judged": [[1, 0]]}, "finite numbers in one dimension"),
        ({"ranked": [2000], "judged": [2000], "gains": "exponential"}, "at most 1000"),
        ({"ranked": [1, 1]}, "more gain than the best one"),
    ],
)
def test_invalid_arguments_are_refused(changed: dict[str, Any], message: str) -> None:
    right: dict[str, Any] = {"ranked": [1, 0], "judged": [1, 0], "gains": "linear"}
    with pytest.raises(InvalidRequestError, match=message):
        ndcg(**(right | changed))


def test_a_reciprocal_rank_refuses_invalid_grades() -> None:
    with pytest.raises(InvalidRequestError, match="k must be 1 or more"):
        reciprocal_rank([1], k=0)
    with pytest.raises(InvalidRequestError, match="finite numbers"):
        reciprocal_rank([nan])
