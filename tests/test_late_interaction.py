"""Short texts and first words, on every model of ours."""

from __future__ import annotations

from pathlib import Path

from packages import MODELS

from resift.testing import LateInteractionContract


class TestSmall(LateInteractionContract):
    model = "resift-small"


class TestNano(LateInteractionContract):
    model = "resift-nano"


class TestBase(LateInteractionContract):
    model = MODELS["resift-base"]


class TestMultilingual(LateInteractionContract):
    model = MODELS["resift-multilingual"]
    # A word after a quotation mark or a bracket is another piece than one after a space.
    punctuation_tolerance = 4.5


def test_every_model_is_tested() -> None:
    tested = {Path(each.model).name for each in LateInteractionContract.__subclasses__()}
    assert set(MODELS) <= tested
