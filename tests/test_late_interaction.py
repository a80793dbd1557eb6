"""Short texts and first words, on every model of ours."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from packages import MODELS

from resift import Reranker
from resift.testing import LateInteractionContract


class TestSmall(LateInteractionContract):
    model = "resift-small"


class TestNano(LateInteractionContract):
    model = "resift-nano"


@cache
def _whole(model: str | Path) -> Reranker:
    return Reranker(model, normalization="none")


class Large(LateInteractionContract):
    """A model of twelve layers: in float32 its rows would take minutes."""

    @pytest.fixture
    def scorer(self) -> Reranker:
        return _whole(self.model)


class TestBase(Large):
    model = MODELS["resift-base"]


class TestMultilingual(Large):
    model = MODELS["resift-multilingual"]
    # A word after a quotation mark or a bracket is another piece than one after a space.
    punctuation_tolerance = 4.5


def test_every_model_is_tested() -> None:
    tested = {Path(each.model).name for each in (TestSmall, TestNano, TestBase, TestMultilingual)}
    assert set(MODELS) <= tested
