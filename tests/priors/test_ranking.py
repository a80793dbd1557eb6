"""Rankings with a prior: what it changes, and what it leaves."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from priors.inputs import TEXTS, finite
from rankings import facts, order

from resift import Calibration, Prior, Reranker

words = st.lists(st.sampled_from(["a", "b", "good", "bad", "w1", "w2"]), max_size=4)
usable = words.map(" ".join)


@settings(deadline=None)
@given(
    texts=st.lists(usable, min_size=1, max_size=12),
    weight=st.floats(0, 3),
    score_weight=st.floats(-2, 2),
    data=st.data(),
)
def test_documents_come_by_logit_and_prior_added_up(
    reranker: Reranker, texts: list[str], weight: float, score_weight: float, data: st.DataObject
) -> None:
    scores = data.draw(st.lists(finite, min_size=len(texts), max_size=len(texts)))
    prior = Prior(place_weight=weight, score_weight=score_weight, score_centre=0.5)
    logits = {each.index: each.logit for each in reranker.rank("a", texts)}
    ranking = reranker.rank("a", texts, prior=prior, first_stage_scores=scores)
    posteriors = []
    for each in ranking:
        assert each.logit is not None
        assert each.posterior is not None
        evidence = score_weight * (scores[each.index] - 0.5) - weight * math.log1p(each.index)
        assert each.logit == pytest.approx(logits[each.index], abs=1e-6)
        assert each.posterior == pytest.approx(each.logit + evidence, abs=1e-9)
        assert each.score == pytest.approx(1 / (1 + math.exp(-each.posterior)))
        posteriors.append((-each.posterior, each.index))
    # Equal ones keep the order given.
    assert posteriors == sorted(posteriors)
    assert len(ranking) == len(texts)


@pytest.mark.parametrize("off", [{}, {"prior": None}, {"prior": 0}, {"prior": 0.0}], ids=str)
def test_without_one_nothing_changes(reranker: Reranker, off: dict[str, Any]) -> None:
    shuffled = [TEXTS[i] for i in (3, 0, 4, 1, 2)]
    for scores in (None, [0.1, 0.9, None, math.nan, 2]):
        ranking = reranker.rank("a", shuffled, first_stage_scores=scores, **off)
        assert facts(ranking) == facts(reranker.rank("a", shuffled))
        assert order(ranking) == [2, 0, 3, 4, 1]
        assert all(each.posterior == each.logit for each in ranking)
        assert ranking.prior is None


def test_the_others_do_not_count(reranker: Reranker) -> None:
    prior = Prior(place_weight=0.4, score_weight=1.0)
    for others in (["good"] * 4, ["bad", "w2", "", "b"]):
        texts = [*others[:2], "w5", *others[2:]]
        scores = [9.0, *np.linspace(8, 1, 4)]
        (found,) = [
            each
            for each in reranker.rank("a", texts, prior=prior, first_stage_scores=scores)
            if each.index == 2
        ]
        assert found.logit is not None
        assert found.posterior == pytest.approx(found.logit - 0.4 * math.log(3) + scores[2])
    whole = reranker.rank("a", texts, prior=prior)
    first = reranker.rank("a", texts[:3], prior=prior)
    assert {each.index: each.posterior for each in first}.items() <= {
        each.index: each.posterior for each in whole
    }.items()


def test_equal_texts_differ_by_their_places(reranker: Reranker) -> None:
    ranking = reranker.rank("a", ["w1", "w9", "w1", "w1"], prior=0.5, normalization="none")
    assert order(ranking) == [1, 0, 2, 3] or order(ranking) == [0, 1, 2, 3]
    by_index = {each.index: each for each in ranking}
    assert by_index[0].logit == by_index[2].logit == by_index[3].logit
    scores = [by_index[n].score or 0.0 for n in (0, 2, 3)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 3
    assert ranking.counts.pairs == 2


def test_thresholds_and_top_n_use_the_posterior(reranker: Reranker) -> None:
    everything = reranker.rank("a", TEXTS, prior=0.2, normalization="none")
    bar = everything[1].score
    kept = reranker.rank("a", TEXTS, prior=0.2, normalization="none", score_threshold=bar)
    assert facts(kept) == facts(everything)[:2]
    assert (
        facts(reranker.rank("a", TEXTS, prior=0.2, normalization="none", top_n=3))
        == facts(everything)[:3]
    )


@pytest.mark.parametrize(
    ("normalization", "function"),
    [
        ("minmax", lambda x: (x - x.min()) / (x.max() - x.min())),
        ("softmax", lambda x: np.exp(x) / np.exp(x).sum()),
        (Calibration(slope=2.0, intercept=0.3), lambda x: 1 / (1 + np.exp(-2 * x - 0.3))),
    ],
    ids=str,
)
def test_posteriors_are_normalised(
    reranker: Reranker, normalization: Any, function: Callable[[Any], Any]
) -> None:
    ranking = reranker.rank("a", TEXTS, prior=0.3, normalization=normalization)
    posteriors = np.array([each.posterior for each in ranking])
    assert [each.score for each in ranking] == pytest.approx(function(posteriors).tolist())


def test_windows_and_priors_go_together(reranker: Reranker) -> None:
    texts = ["bad " * 40 + "good " * 9, "w9"]
    options: dict[str, Any] = {"max_length": 12, "long_documents": "windows"}
    plain = {each.index: each.logit or 0.0 for each in reranker.rank("a", texts, **options)}
    for each in reranker.rank("a", texts, prior=0.7, **options):
        assert each.posterior == pytest.approx(plain[each.index] - 0.7 * math.log1p(each.index))


def test_it_is_reported(reranker: Reranker) -> None:
    ranking = reranker.rank("a", TEXTS, prior=0.25)
    assert ranking.prior == Prior(place_weight=0.25)
    content = json.loads(json.dumps(ranking.to_dict()))
    assert content["prior"] == {"place_weight": 0.25, "score_weight": 0.0, "score_centre": 0.0}
    assert content["results"][0].keys() >= {"logit", "posterior", "score"}
    assert (
        Reranker(**{**reranker.options, "prior": content["prior"]}).options["prior"]
        == (content["prior"])
    )


def test_scores_of_pairs_have_no_order_and_so_no_prior(reranker: Reranker) -> None:
    made = Reranker(reranker.options["model"], backend="onnx", prior=2.0)
    assert made.score("a", TEXTS) == reranker.score("a", TEXTS)
    assert made.rank("a", TEXTS).prior == Prior(place_weight=2.0)
    assert made.rank("a", TEXTS, prior=0).prior is None
