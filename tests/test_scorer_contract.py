"""The properties of every scorer, for each that resift comes with and for some around others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from numbers_scorer import Numbers

from resift.options import LoadOptions
from resift.scoring import Cached, Cascade, Fallback, Local, LocalScorer, Margin, Scorer
from resift.testing import ScorerContract


class OnTiny(ScorerContract):
    """Rows on the tiny model, whose logits can be worked out."""

    query = "a"
    texts = ("good", "w3 w4", "bad", "b a w9", "w1", "a", "w5 w5", "b")
    tiny: Path

    @pytest.fixture(autouse=True)
    def _tiny(self, tiny: Path) -> None:
        self.tiny = tiny

    def local(self, **options: Any) -> Local:
        return Local(self.tiny, backend="onnx", **options)


class TestLocalScorer(OnTiny):
    def build(self) -> Scorer:
        return LocalScorer(LoadOptions(model=self.tiny, backend="onnx"))


class TestLocal(OnTiny):
    def build(self) -> Scorer:
        return self.local()


class TestBundled(ScorerContract):
    tolerance = 0.05  # int8

    def build(self) -> Scorer:
        return Local("resift-nano")


class TestCascade(OnTiny):
    def build(self) -> Scorer:
        return Cascade([self.local(), self.local(max_batch_tokens=1), self.local()], keep=[6, 4])


class TestMargin(OnTiny):
    def build(self) -> Scorer:
        return Cascade([self.local(), self.local()], keep=[Margin(0.5)])


class TestFallback(OnTiny):
    def build(self) -> Scorer:
        return Fallback(self.local(), self.local(max_batch_tokens=1))


class TestFallenBack(OnTiny):
    def build(self) -> Scorer:
        return Fallback(Numbers(error=OSError("down")), self.local())


class TestCached(OnTiny):
    def build(self) -> Scorer:
        return Cached(self.local())


class TestCachedOnDisk(OnTiny):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def build(self) -> Scorer:
        return Cached(self.local(), folder=self.folder)


class TestCachedCascade(OnTiny):
    def build(self) -> Scorer:
        return Cached(Cascade([self.local(), self.local()], keep=[5]))


class TestCascadeOfFallbacks(OnTiny):
    def build(self) -> Scorer:
        failing = Numbers(error=OSError("down"))
        best = Fallback(failing, Cached(self.local()))
        return Cascade([Fallback(failing, self.local()), best], keep=[5])


def test_every_scorer_is_tested() -> None:
    import resift.scoring

    scorers = {
        name
        for name in resift.scoring.__all__
        if all(hasattr(getattr(resift.scoring, name), each) for each in ("score", "warm_up"))
    } - {"Scorer", "Identified", "Compound", "Cutting"}
    assert scorers == {"Cached", "Cascade", "Fallback", "Local", "LocalScorer", "Remote"}
