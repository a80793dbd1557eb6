"""Evidence beside the logits: the order and the scores that documents come with."""

from __future__ import annotations

import json
import logging
import math
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st

from resift import (
    Calibration,
    FittedPrior,
    InvalidRequestError,
    Prior,
    Ranking,
    Reranker,
    UnsupportedModelError,
)
from resift.cli.main import main
from resift.scoring.cuts import survivors

# Their logits differ little: see tiny_models.
TEXTS = ["w1", "w3", "w2", "w3", "w9"]
WARNING = "contradict the order"


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Reranker:
    return Reranker(tiny_models.build(tmp_path_factory.mktemp("prior")), backend="onnx")


def carded(folder: Path, prior: object) -> Path:
    """The tiny model, with a card that has this prior."""
    tiny_models.build(folder)
    artifact = {"format": "onnx", "precision": "fp32", "file": "model.onnx"}
    card = {"max_length": 32, "window": 32, "tolerance": 1e-4, "artifacts": [artifact]}
    text = json.dumps({**card, "prior": prior})
    (folder / "card.json").write_text(text, encoding="utf-8")
    return folder


def order(ranking: Ranking) -> list[int]:
    return [each.index for each in ranking]


def facts(ranking: Ranking) -> list[tuple[int, float | None, float | None, int]]:
    return [(each.index, each.score, each.logit, each.truncated_tokens) for each in ranking]


# What it changes

words = st.lists(st.sampled_from(["a", "b", "good", "bad", "w1", "w2"]), max_size=4)
usable = words.map(" ".join)
finite = st.floats(-3, 3, width=32)


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


# What it may be


def test_auto_is_the_weight_on_the_card(tmp_path: Path, reranker: Reranker) -> None:
    made = Reranker(carded(tmp_path / "m", {"place_weight": 0.75}), backend="onnx", prior="auto")
    ranking = made.rank("a", TEXTS)
    assert ranking.prior == Prior(place_weight=0.75)
    assert facts(ranking) == facts(made.rank("a", TEXTS, prior=0.75))
    # Nobody knows the scale of another model's logits.
    assert reranker.rank("a", TEXTS, prior="auto").prior is None
    assert made.rank("a", []).prior is None


@pytest.mark.parametrize("wrong", [{}, {"place_weight": -1}, {"place_weight": "x"}, [1], 0.5])
def test_an_invalid_prior_on_a_card_is_refused(tmp_path: Path, wrong: object) -> None:
    made = Reranker(carded(tmp_path / "m", wrong), backend="onnx")
    with pytest.raises(UnsupportedModelError, match=r"place_weight|prior"):
        made.rank("a", TEXTS)


@pytest.mark.parametrize(
    "wrong", [-0.1, math.nan, math.inf, True, "0.5", "card", {}, {"weight": 1}, [0.5], object()]
)
def test_anything_else_is_refused(reranker: Reranker, wrong: Any) -> None:
    for make in (lambda: Reranker(prior=wrong), lambda: reranker.rank("a", TEXTS, prior=wrong)):
        with pytest.raises(InvalidRequestError, match=r"prior must be None, 0, a weight"):
            make()


@pytest.mark.parametrize(
    "wrong",
    [{"place_weight": -1}, {"place_weight": "1"}, {"place_weight": 1, "score_weight": math.nan}],
)
def test_a_prior_needs_finite_weights(wrong: Any) -> None:
    (name,) = [name for name, value in wrong.items() if value != 1]
    with pytest.raises(InvalidRequestError, match=name):
        Prior(**wrong)


def test_options_keep_it() -> None:
    prior = Prior(place_weight=0.5, score_weight=-1, score_centre=2)
    for value in ("auto", 0.25, 0.0, prior):
        made = Reranker(prior=value)
        assert pickle.loads(pickle.dumps(made)).options == made.options
        assert made._with_options().options == made.options
        json.dumps(made.options)
    assert Reranker(prior=prior).options["prior"] == prior.to_dict()


# Scores that documents come with


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


# With pruning


@settings(deadline=None)
@given(
    data=st.data(),
    estimates=st.lists(finite, min_size=1, max_size=12),
    top_n=st.integers(1, 6),
    margin=st.floats(0.01, 1),
    weight=st.floats(0, 2),
)
def test_pruning_within_the_margin_loses_nothing(
    data: st.DataObject, estimates: list[float], top_n: int, margin: float, weight: float
) -> None:
    size = len(estimates)
    slots = [*range(size), *data.draw(st.lists(st.sampled_from(range(size)), max_size=6))]
    evidence = -weight * np.log1p(np.arange(len(slots)))
    # The model differs from its estimator by half the margin at most.
    off = data.draw(st.lists(st.floats(-0.49, 0.49), min_size=size, max_size=size))
    logits = np.array(estimates) + margin * np.array(off)
    kept = survivors(np.array(estimates, np.float32), slots, top_n, margin, evidence)
    best = np.argsort(-(logits[slots] + evidence), kind="stable")[:top_n]
    assert all(kept[slots[document]] for document in best)


def test_what_is_first_by_its_place_is_not_pruned() -> None:
    estimates = np.array([0.0, 1.0, 1.5, 2.0], np.float32)
    slots = [0, 1, 2, 3]
    assert survivors(estimates, slots, 1, 0.1).tolist() == [False, False, False, True]
    evidence = np.array([5.0, 0.0, 0.0, 0.0])
    assert survivors(estimates, slots, 1, 0.1, evidence).tolist() == [True, False, False, False]


# Fitting


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


# From a command line


def lines(path: Path, content: Sequence[object]) -> str:
    path.write_text("\n".join(map(json.dumps, content)), encoding="utf-8")
    return str(path)


def test_a_command_line_takes_it(
    reranker: Reranker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scored = [{"text": text, "score": 9 - n} for n, text in enumerate(TEXTS)]
    file = lines(tmp_path / "documents", scored)
    base = ["rank", "-m", str(reranker.options["model"]), "--backend", "onnx", "--format", "json"]
    cases: list[tuple[str, Any]] = [
        ("0.5", 0.5),
        ("auto", "auto"),
        ("0", 0),
        ('{"place_weight": 0.1, "score_weight": 0.7}', Prior(place_weight=0.1, score_weight=0.7)),
    ]
    for text, value in cases:
        assert main([*base, "-q", "a", "-f", file, "--jsonl", "--prior", text]) == 0
        results = json.loads(capsys.readouterr().out)["results"]
        expected = reranker.rank("a", TEXTS, prior=value, first_stage_scores=[9, 8, 7, 6, 5])
        assert [(each["index"], each["score"]) for each in results] == [
            (each.index, each.score) for each in expected
        ]
    assert main([*base, "a", "w1", "--prior", "-1"]) == 2
    assert main([*base, "a", "w1", "--prior", "much"]) == 2
    wrong = lines(tmp_path / "wrong", [{"text": "a", "score": "high"}])
    assert main([*base, "-q", "a", "-f", wrong, "--jsonl"]) == 2
    assert 'has a "score" that isn\'t a number' in capsys.readouterr().err
