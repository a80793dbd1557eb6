"""The tiny model, warm."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_models

from resift import Reranker


@pytest.fixture
def reranker(tmp_path: Path) -> Reranker:
    folder = tiny_models.build(tmp_path / "model")
    made = Reranker(folder, backend="onnx", threads=1, normalization="none")
    made.warm_up()
    return made
