"""The backend and the family, by the suites that resift has for them, and by hand."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from resift_example_plugin import Overlap, fit

from resift import Reranker, UnsupportedModelError
from resift.testing import QUERY, TEXTS, BackendContract, FamilyContract


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit([QUERY, *TEXTS], tmp_path_factory.mktemp("model"))


class TestOverlapBackend(BackendContract):
    backend = "overlap"

    @pytest.fixture
    def model(self, folder: Path) -> Path:
        return folder


class TestOverlap(FamilyContract):
    name = "overlap"
    family = Overlap
    config: ClassVar = {"model_type": "overlap", "max_position_embeddings": 512}
    outputs = ((3.0, 0.0), (2.0, 1.0), (0.0, 3.0))


def test_the_score_is_the_share_of_the_query_by_rarity(tmp_path: Path) -> None:
    texts = ["bread and butter", "bread", "butter and salt", "salt"]
    reranker = Reranker(fit(texts, tmp_path))
    scores = reranker.score("bread and butter", texts)
    rare = math.log(3)
    assert scores == pytest.approx([1, 1 / 3, 2 / 3, 0], abs=1e-3)
    (logit,) = reranker.score("bread salt pepper", ["salt"], normalization="none")
    assert logit == pytest.approx(math.log((rare + 1e-3) / (rare + 1e-3)))


def test_nobody_has_to_name_them(folder: Path) -> None:
    ranking = Reranker(folder).rank(QUERY, TEXTS)
    assert (ranking.backend, ranking.device, ranking.precision) == ("overlap", "cpu", "fp32")
    assert ranking[0].index == 0


def test_weights_of_another_kind_are_named(folder: Path, tmp_path: Path) -> None:
    model = shutil.copytree(folder, tmp_path / "model")
    np.save(model / "weights.npy", np.ones((2, 2), dtype=np.float32))
    with pytest.raises(UnsupportedModelError, match=r"weights\.npy is float32 \[2, 2\]"):
        Reranker(model).warm_up()
