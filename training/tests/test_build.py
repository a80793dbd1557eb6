"""What is written beside the bundled models' weights, and the fit of their logits."""

from dataclasses import replace

import numpy as np
import pytest

import calibration
from card import metrics
from describe import golden
from files import BUNDLED, GRAPHS, read_card, read_recipe
from golden import PAIRS
from resift.models.card import SCHEMA
from table import MODELS


@pytest.mark.parametrize("model", MODELS)
def test_a_card_says_what_was_measured(model: str) -> None:
    card = read_card(MODELS[model].folder)
    assert card["schema"] == SCHEMA
    assert card["revision"] == MODELS[model].revision
    assert card["metrics"] == metrics(model)
    assert [each["file"] for each in card["artifacts"]] == [*GRAPHS.values(), GRAPHS["fp32"]]


def test_golden_pairs_have_their_logits() -> None:
    folder = BUNDLED / "resift-small"
    logits = np.linspace(-3, 3, len(PAIRS), dtype=np.float32)
    found = golden(folder / GRAPHS["fp32"], logits)
    assert [(each["query"], each["document"]) for each in found["pairs"]] == PAIRS
    assert [each["logit"] for each in found["pairs"]] == pytest.approx(logits, abs=1e-5)
    assert found["model_sha256"] == read_card(folder)["artifacts"][-1]["sha256"]


def test_the_recipe_has_settings_for_each_model() -> None:
    recipe = read_recipe()
    for model in ("small", "nano"):
        settings = recipe["train"] | recipe[model]
        assert settings["steps"] > settings["warmup"] > 0
        assert settings["teachers"]


def pairs() -> calibration.Pairs:
    rng = np.random.default_rng(0)
    count = 6000
    return calibration.Pairs(
        texts=[("query", "document")] * count,
        relevant=rng.random(count) < 0.25,
        question=np.arange(count) // 4,
        data_set=rng.choice([*calibration.SETS], count),
    )


def test_a_fit_finds_the_odds_that_pairs_were_drawn_with() -> None:
    drawn = pairs()
    # Two normal distributions of variance 1: the logit of even odds is 3 * (score - 0.5).
    scores = np.random.default_rng(1).normal(np.where(drawn.relevant, 2.0, -1.0))
    fit = calibration.fit(drawn, scores.astype(np.float32))
    assert fit.slope == pytest.approx(3, abs=0.3)
    assert fit.intercept == pytest.approx(-1.5, abs=0.3)
    assert fit.pairs == 4800
    assert fit.log_loss < 0.25
    assert fit.calibration_error < 0.05


def test_uninformative_scores_have_even_odds() -> None:
    drawn = pairs()
    drawn = replace(drawn, relevant=np.arange(len(drawn.texts)) % 4 == 0)
    fit = calibration.fit(drawn, np.random.default_rng(1).normal(size=6000).astype(np.float32))
    assert fit.slope == pytest.approx(0, abs=0.1)
    assert fit.log_loss == pytest.approx(0.693, abs=0.01)
