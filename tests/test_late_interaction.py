"""Short texts and first words, on every bundled model."""

from __future__ import annotations

from packages import BUNDLED

from resift.testing import LateInteractionContract


class TestSmall(LateInteractionContract):
    model = "resift-small"


class TestNano(LateInteractionContract):
    model = "resift-nano"


def test_every_bundled_model_is_tested() -> None:
    tested = {each.model for each in LateInteractionContract.__subclasses__()}
    assert {path.parent.name for path in BUNDLED.glob("*/card.json")} <= tested
