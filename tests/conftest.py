"""Fixtures for the engine's tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import hub_server
import numpy as np
import pytest
import tiny_models
from hub_client import UNNEEDED, Client
from installed import require
from numpy.typing import NDArray
from processors import PROCESSORS

from resift import machine, plugins
from resift.backends.onnx import OnnxBackend
from resift.backends.table import BACKENDS
from resift.text.batch import Batch


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny one-label model with a window of 32 tokens."""
    return tiny_models.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(params=[name for name, entry in BACKENDS.items() if "onnx" in entry.formats])
def graph_backend(request: pytest.FixtureRequest) -> str:
    """The name of each backend that is installed and runs the tiny models."""
    name: str = request.param
    require(*BACKENDS[name].requires)
    return name


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports from the folders below benchmarks, whose modules find each other there."""
    folder = str(Path(__file__).parents[1] / "benchmarks")
    for each in ("cpu", "gpu", "hostile", "load", "scale", "serve"):
        monkeypatch.syspath_prepend(f"{folder}/{each}")
    before, path = set(sys.modules), list(sys.path)
    yield __import__
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if folder in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


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


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Says on which of ``PROCESSORS`` the rest of a test runs."""
    return lambda name: monkeypatch.setattr(machine, "processor", lambda: PROCESSORS[name])


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that this process finds packages in, as if they had always been there."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(plugins, "installed", plugins.installed.__wrapped__)
    plugins.warn_once.cache_clear()
    return folder


@pytest.fixture
def hub() -> Iterator[hub_server.Hub]:
    """A hub on this machine, of no repositories."""
    with hub_server.serve() as hub:
        yield hub


@pytest.fixture
def client(hub: hub_server.Hub, tmp_path: Path) -> Client:
    """Processes that use the hub, with an empty cache."""
    return Client(hub, tmp_path)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A repository as they are: one model in many formats."""
    folder = tiny_models.build(tmp_path_factory.mktemp("hub"))
    needed = {path.name: path.read_bytes() for path in folder.iterdir()}
    return {**needed, "tokenizer_config.json": b'{"model_max_length": 16}', **UNNEEDED}
