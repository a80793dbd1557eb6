"""The devices that the tests of the backend torch run on."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


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
