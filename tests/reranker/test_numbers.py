"""Logits that aren't finite: computed again, or an error."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from tiny_models import logit

from resift import NonFiniteScoreError, Reranker
from resift.backends.onnx import OnnxBackend
from resift.text.batch import Batch


def test_nan_is_an_error(tiny: Path) -> None:
    with pytest.raises(NonFiniteScoreError, match=r"\[1, 3\]") as caught:
        Reranker(tiny).rank("a", ["a", "nan", "b", "nan"])
    assert caught.value.indices == (1, 3)
    assert caught.value.model == str(tiny)
    assert caught.value.backend == "onnx"
    with pytest.raises(NonFiniteScoreError, match="of 2 characters"):
        Reranker(tiny).rank_many([("a", ["good"]), ("w1", ["nan"])])


def test_overflow_is_computed_again_in_float32(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tiny_models.build(tmp_path, precision="fp16")
    reranker = Reranker(tmp_path)
    half = reranker.rank("a", ["a", "good"])
    assert half.precision == "fp16"
    assert half[0].logit == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(NonFiniteScoreError, match="float32 too where it has such weights"):
        reranker.rank("a", ["huge huge"])
    tiny_models.build(tmp_path)
    with caplog.at_level(logging.WARNING, "resift"):
        again = Reranker(tmp_path, precision="fp16").rank("a", ["huge huge"])
    assert again[0].logit == logit("huge huge")
    assert "fp32" in caplog.text


def test_the_float32_form_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    init: Callable[..., None] = OnnxBackend.__init__

    def slow(self: OnnxBackend, path: Path, **options: Any) -> None:
        opened.append(path)
        time.sleep(0.05)
        init(self, path, **options)

    tiny_models.build(tmp_path, precision="fp16")
    tiny_models.build(tmp_path)
    reranker = Reranker(tmp_path, precision="fp16", backend="onnx", threads=4, max_batch_tokens=1)
    reranker.warm_up()
    monkeypatch.setattr(OnnxBackend, "__init__", slow)
    # Each in a pass of its own, all at once.
    ranking = reranker.rank("a", ["huge huge", "huge", "huge a huge", "huge huge huge"])
    assert len(ranking) == 4
    assert [path.name for path in opened] == ["model.onnx"]


def test_a_transient_nan_is_computed_again(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, calls = OnnxBackend.forward, []

    def faulty(self: OnnxBackend, batch: Batch) -> np.ndarray:
        calls.append(batch)
        return forward(self, batch) * (np.nan if len(calls) == 1 else 1)

    monkeypatch.setattr(OnnxBackend, "forward", faulty)
    assert Reranker(tiny).rank("a", ["good"])[0].logit == logit("good")
    assert len(calls) == 2
