"""Fixtures for the engine's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from numpy.typing import NDArray

from resift.backends.onnx import OnnxBackend
from resift.tokenization import Batch


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny one-label model with a window of 32 tokens."""
    return tiny_models.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def forwarded(monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """Every batch that the ONNX backend gets."""
    batches: list[Batch] = []
    forward: Callable[[Any, Batch], NDArray[np.float32]] = OnnxBackend.forward

    def record(self: OnnxBackend, batch: Batch) -> NDArray[np.float32]:
        batches.append(batch)
        return forward(self, batch)

    monkeypatch.setattr(OnnxBackend, "forward", record)
    return batches
