"""Models with other heads and inputs."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_models
from reranker.inputs import DOCUMENTS
from tiny_models import logit

from resift import Reranker, UnsupportedModelError


def test_two_labels_are_a_difference(tmp_path: Path) -> None:
    model = tiny_models.build(tmp_path, labels=2)
    expected = [logit(document) for document in DOCUMENTS]
    scores = Reranker(model).score("a", DOCUMENTS, normalization="none")
    assert scores == pytest.approx(expected, abs=1e-6)


def test_other_heads_are_refused(tmp_path: Path) -> None:
    model = tiny_models.build(tmp_path / "labels", labels=3)
    with pytest.raises(UnsupportedModelError, match=r"\[1, 3\]"):
        Reranker(model).rank("a", ["a"])


def test_a_model_without_token_types_ranks(tmp_path: Path) -> None:
    model = tiny_models.build(tmp_path, token_types=False)
    assert [r.index for r in Reranker(model).rank("b", ["bad", "good"])] == [1, 0]
