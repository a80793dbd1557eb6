"""The devices that the tests of the backend torch run on, and its passes."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from numpy.typing import NDArray

from resift.text.batch import Batch


def _devices() -> list[str]:
    if find_spec("torch") is None:
        return ["cpu"]
    import torch

    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


@pytest.fixture(params=_devices())
def device(request: pytest.FixtureRequest) -> str:
    """Each device that torch has here; what is expected on any of them is computed on the CPU.

    In float32 the bounds are the same on all. A GPU adds up in another order, which moves these
    logits by far less, while products in TF32, with ten bits, would move them by far more.
    """
    name: str = request.param
    return name


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The padded tokens of every pass of the backend torch."""
    from resift.backends.torch.backend import TorchBackend

    found: list[int] = []
    forward = TorchBackend.forward

    def record(self: TorchBackend, batch: Batch) -> NDArray[np.float32]:
        found.append(batch.input_ids.size)
        return forward(self, batch)

    monkeypatch.setattr(TorchBackend, "forward", record)
    return found
