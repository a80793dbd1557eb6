"""The option ``prior``: what it may be, from Python, a card or a command line."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from priors.inputs import TEXTS
from rankings import facts

from resift import InvalidRequestError, Prior, Reranker, UnsupportedModelError
from resift.cli.main import main


def carded(folder: Path, prior: object) -> Path:
    """The tiny model, with a card that has this prior."""
    tiny_models.build(folder)
    artifact = {"format": "onnx", "precision": "fp32", "file": "model.onnx"}
    card = {"max_length": 32, "window": 32, "tolerance": 1e-4, "artifacts": [artifact]}
    text = json.dumps({**card, "prior": prior})
    (folder / "card.json").write_text(text, encoding="utf-8")
    return folder


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
