"""The modules of benchmarks/gpu."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

_NAMES = """
accelerator gpu_cells gpu_driver gpu_figures gpu_loads gpu_plots gpu_report gpu_results rerankers
rounds shapes
"""


@pytest.fixture
def at(module: Callable[[str], ModuleType]) -> Any:
    """The modules of it that need no torch."""
    return SimpleNamespace(**{name: module(name) for name in _NAMES.split()})
