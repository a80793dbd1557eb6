"""Estimators that have estimators of their own."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import tiny_models
from pruning.estimated import (
    PRUNED,
    SURVIVORS,
    TEXTS,
    add_estimator,
    build,
    describe,
    estimator,
    estimator_of,
)
from rankings import facts

from resift import Reranker
from resift.text.batch import Batch


def build_chain(folder: Path, *, margin: float) -> tuple[Path, Path]:
    """A model, whose estimator has one of its own with this margin; and the folder of that."""
    model = build(folder)
    estimating = estimator_of(model)
    first = add_estimator()
    # It knows what the model will say.
    named = estimator(first, weights=tiny_models.WEIGHTS)
    describe(estimating, window=32, estimator={**named, "margin": margin})
    return model, first


@pytest.mark.parametrize(
    ("margin", "estimated", "kept"),
    # Of the two that the first one leaves, none can be given up.
    [(0.0, len(TEXTS), 2), (1e9, 2 * len(TEXTS), SURVIVORS)],
)
def test_an_estimator_may_have_an_estimator(
    tmp_path: Path, forwarded: list[Batch], margin: float, estimated: int, kept: int
) -> None:
    model, _ = build_chain(tmp_path / "model", margin=margin)
    reranker = Reranker(model, backend="onnx", precision="fp32")
    expected = facts(reranker.rank("a", TEXTS, top_n=2))
    reranker.warm_up()
    reranker.rank("a", TEXTS, top_n=2, prune="auto")
    forwarded.clear()
    ranking = reranker.rank("a", TEXTS, top_n=2, prune="auto")
    assert ranking.counts.pruned_documents == len(TEXTS) - kept
    assert sum(len(batch.input_ids) for batch in forwarded) == estimated + kept
    assert (facts(ranking), ranking.status) == (expected, "complete")


def test_without_the_first_estimator_the_second_sees_all(
    tmp_path: Path, forwarded: list[Batch], caplog: pytest.LogCaptureFixture
) -> None:
    model, first = build_chain(tmp_path / "model", margin=0.0)
    (first / "model.onnx").unlink()
    reranker = Reranker(model, backend="onnx", precision="fp32", prune="auto")
    with caplog.at_level(logging.WARNING, "resift"):
        reranker.rank("a", TEXTS, top_n=2)
    forwarded.clear()
    ranking = reranker.rank("a", TEXTS, top_n=2)
    assert ranking.counts.pruned_documents == PRUNED
    assert sum(len(batch.input_ids) for batch in forwarded) == len(TEXTS) + SURVIVORS
    assert ranking.status == "complete"
    (warning,) = (each for each in caplog.messages if each.endswith("estimates all documents"))
    assert first.name in warning


def test_estimators_that_name_each_other_are_each_asked_once(tmp_path: Path) -> None:
    model, first = build_chain(tmp_path / "model", margin=1e9)
    second = estimator_of(model)
    digest = json.loads((second / "card.json").read_text(encoding="utf-8"))["artifacts"][0]
    describe(
        first,
        window=32,
        estimator={"model": second.name, "sha256": digest["sha256"], "margin": 1e9},
    )
    ranking = Reranker(model, backend="onnx", precision="fp32").rank(
        "a", TEXTS, top_n=2, prune="auto"
    )
    assert (ranking.counts.pruned_documents, ranking.status) == (PRUNED, "complete")
