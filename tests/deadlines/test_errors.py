"""Errors of scoring that are raised, or leave the first stage's order."""

from __future__ import annotations

import asyncio
import json
import logging

import numpy as np
import pytest
from deadlines.unscored import TEXTS, unscored
from numpy.typing import NDArray
from rankings import order

from resift import InvalidRequestError, NonFiniteScoreError, Reranker, TimingEvent
from resift.backends.onnx import OnnxBackend
from resift.text.batch import Batch


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: OnnxBackend, batch: Batch) -> NDArray[np.float32]:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(OnnxBackend, "forward", fail)


@pytest.mark.usefixtures("failing")
def test_errors_are_raised_by_default(reranker: Reranker) -> None:
    for options in ({}, {"on_error": "raise"}):
        with pytest.raises(RuntimeError, match="out of memory"):
            reranker.rank("a", TEXTS, **options)  # type: ignore[arg-type]


@pytest.mark.usefixtures("failing")
def test_the_first_stages_order_may_stand(
    reranker: Reranker, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[TimingEvent] = []
    made = Reranker(
        reranker.options["model"], backend="onnx", on_error="first_stage", on_timing=events.append
    )
    with caplog.at_level(logging.WARNING, "resift"):
        ranking = made.rank("a", TEXTS, top_n=4)
    assert "out of memory. The first stage's order stands" in caplog.text
    assert order(ranking) == unscored(ranking) == [0, 1, 2, 3]
    assert ranking.status == events[0].status == "fallback"
    assert ranking.error == events[0].error == "RuntimeError: out of memory"
    assert (ranking.counts.scored, ranking.counts.pruned_documents) == (0, 0)
    assert json.loads(json.dumps(ranking.to_dict()))["error"] == ranking.error
    assert len(made.rank("a", TEXTS, score_threshold=0.1)) == 0
    later = asyncio.run(made.arank("a", TEXTS))
    assert unscored(later) == list(range(10))


def test_nan_may_leave_the_order_given(reranker: Reranker) -> None:
    texts = ["w1", "nan", "w2"]
    with pytest.raises(NonFiniteScoreError):
        reranker.rank("a", texts)
    ranking = reranker.rank("a", texts, on_error="first_stage")
    assert unscored(ranking) == [0, 1, 2]
    assert "NonFiniteScoreError" in str(ranking.error)


def test_errors_of_the_caller_are_raised(reranker: Reranker) -> None:
    with pytest.raises(InvalidRequestError, match="max_length"):
        reranker.rank("a", TEXTS, on_error="first_stage", max_length=9999)
    with pytest.raises(InvalidRequestError, match="on_error"):
        reranker.rank("a", TEXTS, on_error="pass")  # type: ignore[arg-type]


@pytest.mark.usefixtures("failing")
def test_scores_alone_have_no_order_to_fall_back_to(reranker: Reranker) -> None:
    made = Reranker(reranker.options["model"], backend="onnx", on_error="first_stage")
    with pytest.raises(RuntimeError, match="out of memory"):
        made.score("a", TEXTS)
