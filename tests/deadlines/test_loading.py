"""Deadlines of calls whose model isn't loaded yet."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from deadlines.unscored import TEXTS, unscored

from resift import Reranker, UnsupportedModelError
from resift.loading import opening
from resift.loading.model import LoadedModel
from resift.options import LoadOptions
from resift.scoring import Cascade, Local


@pytest.fixture
def slow_load(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Loading waits for this."""
    go = threading.Event()
    load = opening.load_model

    def slow(options: LoadOptions) -> LoadedModel:
        assert go.wait(timeout=20)
        return load(options)

    monkeypatch.setattr(opening, "load_model", slow)
    return go


def test_a_model_that_is_not_loaded_in_time_is_said(
    tmp_path: Path, slow_load: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    reranker = Reranker(tiny_models.build(tmp_path / "m"), backend="onnx")
    with caplog.at_level(logging.WARNING, "resift"):
        ranking = reranker.rank("a", TEXTS, deadline_ms=20, top_n=3)
    assert "isn't loaded at the deadline of 20 ms" in caplog.text
    assert unscored(ranking) == [0, 1, 2]
    assert (ranking.status, ranking.counts.scored, ranking.timings.infer) == ("partial", 0, 0)
    slow_load.set()
    # It was loaded on.
    assert reranker.rank("a", TEXTS).counts.scored == 10


@pytest.mark.parametrize("options", [{"prune": "auto", "top_n": 2}, {"prior": "auto"}], ids=str)
def test_nothing_waits_for_a_model_beyond_the_deadline(
    tmp_path: Path, slow_load: threading.Event, options: dict[str, Any]
) -> None:
    model = tiny_models.build(tmp_path / "m")
    cascade = Cascade([Local(model, backend="onnx"), Local(model, backend="onnx")], keep=[3])
    for reranker in (Reranker(model, backend="onnx"), Reranker(scorer=cascade)):
        ranking = reranker.rank("a", TEXTS, deadline_ms=20, **options)
        assert ranking.counts.scored == 0
        assert ranking.status == "partial"
    slow_load.set()


def test_warming_up_takes_the_time_it_takes(tmp_path: Path, slow_load: threading.Event) -> None:
    reranker = Reranker(tiny_models.build(tmp_path / "m"), backend="onnx", deadline_ms=1)
    threading.Timer(0.2, slow_load.set).start()
    reranker.warm_up()
    assert slow_load.is_set()
    assert reranker.rank("a", TEXTS).counts.scored >= 1


def test_an_error_of_loading_in_time_is_raised(tmp_path: Path) -> None:
    folder = tiny_models.build(tmp_path / "m")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UnsupportedModelError, match="tokenizer"):
        Reranker(folder, backend="onnx").rank("a", TEXTS, deadline_ms=20_000)
