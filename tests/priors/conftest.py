"""The tiny model, for tests of priors."""

from __future__ import annotations

import pytest
import tiny_models

from resift import Reranker


@pytest.fixture(scope="session")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Reranker:
    return Reranker(tiny_models.build(tmp_path_factory.mktemp("prior")), backend="onnx")
