"""Documents that go on from one scorer to the next, and those that don't."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cascades.ranked import TEXTS, rank
from hypothesis import given
from hypothesis import strategies as st
from numbers_scorer import Numbers
from rankings import order

from resift import InvalidRequestError, Prior, Reranker
from resift.scoring import Cascade, Local


def test_the_first_cuts_and_the_last_orders() -> None:
    small, large = Numbers("small"), Numbers("large", scale=-1.0)
    ranking = rank(Cascade([small, large], keep=[3]), TEXTS)
    assert small.asked == [tuple(TEXTS)]
    assert large.asked == [("9", "5", "7")]
    assert [(each.index, each.logit) for each in ranking] == [(2, -5.0), (4, -7.0), (0, -9.0)]
    assert (ranking.model, ranking.counts.pruned_documents) == ("large", 4)
    assert (ranking.counts.scored, ranking.counts.documents) == (3, 7)


def test_any_number_of_scorers_cut() -> None:
    scorers = [Numbers("first"), Numbers("second", scale=-1.0), Numbers("third")]
    ranking = rank(Cascade(scorers, keep=[5, 2]), TEXTS)
    assert [each.asked for each in scorers] == [
        [tuple(TEXTS)],
        [("9", "5", "4", "7", "3")],
        [("4", "3")],
    ]
    assert order(ranking) == [3, 5]


def test_a_cascade_may_be_one_of_the_scorers() -> None:
    flat = Cascade([Numbers(), Numbers(scale=-1.0), Numbers()], keep=[5, 2])
    nested = Cascade([Cascade([Numbers(), Numbers(scale=-1.0)], keep=[5]), Numbers()], keep=[2])
    assert rank(nested, TEXTS).results == rank(flat, TEXTS).results


def test_few_documents_are_not_estimated() -> None:
    small, large = Numbers("small"), Numbers("large")
    assert len(rank(Cascade([small, large], keep=[7]), TEXTS)) == 7
    assert small.asked == []


numbers = st.integers(-5, 5).map(str)


@given(
    texts=st.lists(numbers, min_size=1, max_size=14),
    keep=st.lists(st.integers(1, 16), min_size=1, max_size=3),
    prior=st.sampled_from([None, 0.7]),
)
def test_the_best_documents_by_posterior_go_on(
    texts: list[str], keep: list[int], prior: float | None
) -> None:
    weight = prior or 0.0
    left = set(range(len(texts)))
    for documents in keep:
        best = sorted(left, key=lambda i: (-(float(texts[i]) - weight * math.log1p(i)), i))
        # Equal texts are scored once: none of them is cut where one is kept.
        kept = {texts[i] for i in best[:documents]}
        left = {i for i in left if texts[i] in kept}
    cascade = Cascade([Numbers() for _ in range(len(keep) + 1)], keep=keep)
    ranking = rank(cascade, texts, prior=prior)
    assert set(order(ranking)) == left
    assert ranking.counts.pruned_documents == len(texts) - len(left)
    assert ranking.counts.pairs == len({texts[i] for i in left})


def test_documents_are_counted_and_not_texts() -> None:
    large = Numbers("large")
    rank(Cascade([Numbers(), large], keep=[2]), ["9", "9", "8", "7"])
    assert large.asked == [("9",)]


def test_among_equals_the_order_given_decides() -> None:
    large = Numbers("large")
    rank(Cascade([Numbers(scale=0.0), large], keep=[2]), ["3", "1", "2"])
    assert large.asked == [("3", "1")]


def test_a_prior_is_added_to_logits_alone() -> None:
    ranker, large = Numbers("ranker"), Numbers("large")
    ranker.source = replace(ranker.source, scale="order")
    rank(Cascade([ranker, large], keep=[1]), ["1", "2"], prior=100)
    assert large.asked == [("2",)]


def test_a_prior_of_scores_decides_who_goes_on() -> None:
    large = Numbers("large")
    prior = Prior(place_weight=0.0, score_weight=20.0)
    reranker = Reranker(scorer=Cascade([Numbers(), large], keep=[1]), prior=prior)
    reranker.rank("q", ["9", "8", "1"], first_stage_scores=[0.2, 0.1, 0.9])
    assert large.asked == [("1",)]


@pytest.mark.parametrize("unknown", ["nan", "inf", "-inf"])
def test_without_an_estimate_a_document_goes_on(unknown: str) -> None:
    class Blind(Numbers):
        def _score(self, request: Any, call: Any) -> Any:
            answer = super()._score(request, call)
            answer.logits[np.array(request.texts) == "1"] = float(unknown)
            return answer

    large = Numbers("large")
    rank(Cascade([Blind(), large], keep=[2]), TEXTS)
    # It isn't one of the two.
    assert large.asked == [("9", "1", "7")]


def test_what_a_scorer_leaves_out_stays_out() -> None:
    large = Numbers("large")
    ranking = rank(Cascade([Numbers(missing="9"), large], keep=[2]), TEXTS)
    assert large.asked == [("5", "7")]
    assert ranking.counts.pruned_documents == 5


def test_late_documents_stay_late() -> None:
    cascade = Cascade([Numbers(late="9 3"), Numbers("large", late="5")], keep=[3])
    ranking = rank(cascade, TEXTS)
    # 7, 5 and 4 go on; 5 is late there.
    assert [(each.index, each.logit) for each in ranking] == [
        (4, 7.0), (3, 4.0), (0, None), (2, None), (5, None),
    ]  # fmt: skip
    assert (ranking.status, ranking.counts.pruned_documents) == ("partial", 2)
    assert ranking.counts.scored == 2


def test_nothing_in_time_leaves_the_last_unasked() -> None:
    large = Numbers("large")
    ranking = rank(Cascade([Numbers(late="1 2 3"), large], keep=[1]), ["1", "2", "3"])
    assert large.asked == []
    assert (order(ranking), ranking.status) == ([0, 1, 2], "partial")


def test_requests_are_cut_each_by_itself() -> None:
    large = Numbers("large")
    reranker = Reranker(scorer=Cascade([Numbers("small"), large], keep=[2]))
    rankings = reranker.rank_many([("q", TEXTS), ("q", ["1", "2"]), ("q", []), ("q", TEXTS[::-1])])
    assert [order(each) for each in rankings] == [[0, 4], [1, 0], [], [6, 2]]
    assert [len(each.stages) for each in rankings] == [2, 1, 1, 2]
    assert [each.counts.pruned_documents for each in rankings] == [5, 0, 0, 5]


def test_the_prior_auto_is_the_last_models(tiny: Path) -> None:
    large = Numbers("large")
    # Known only when it is loaded.
    large.warm_up = lambda call: setattr(  # type: ignore[method-assign]
        large, "source", type(large.source)(model="large", backend="fake", place_weight=100.0)
    )
    ranking = rank(Cascade([Numbers(), large], keep=[2]), TEXTS, prior="auto")
    assert ranking.prior == Prior(place_weight=100.0)
    assert order(ranking) == [0, 1]


def test_scores_for_all_documents_need_all() -> None:
    reranker = Reranker(scorer=Cascade([Numbers(), Numbers()], keep=[2]))
    assert reranker.score("q", ["1", "2"])
    with pytest.raises(InvalidRequestError, match="left out 5 of 7 documents"):
        reranker.score("q", TEXTS)


def test_bundled_models_cascade() -> None:
    cascade = Cascade([Local("resift-nano"), Local("resift-small")], keep=[2])
    texts = [
        "Bread rises because yeast turns sugar into carbon dioxide.",
        "Use sorted with a key function to sort a dictionary by value.",
        "The museum is closed on Mondays.",
        "A list can be sorted in place with its sort method.",
    ]
    query = "how do I sort a dictionary by value"
    ranking = Reranker(scorer=cascade).rank(query, texts)
    assert order(ranking) == [1, 3]
    logits = Reranker("resift-small", normalization="none").score(query, texts)
    assert [each.logit for each in ranking] == pytest.approx([logits[1], logits[3]], abs=0.05)
    assert [each.model for each in ranking.stages] == ["resift-nano", "resift-small"]
