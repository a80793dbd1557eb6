"""Servers, as processes of their own, and processes that call them with real clients."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from clients.environments import Caller, calling, python_of
from clients.expected import KEY
from server.running import PATIENCE, process

from resift import Reranker

MOST = 400
"""Documents of a request that the server takes."""
PER_MINUTE = 60
"""Pairs that a client may send to the other server in a minute."""


@pytest.fixture(scope="session")
def reranker() -> Reranker:
    """The bundled model in this process, for comparison."""
    return Reranker()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server with a key."""
    folder = tmp_path_factory.mktemp("server")
    with _serving(folder, f"documents = {MOST}", {"tests": KEY}) as found:
        yield found


@pytest.fixture(scope="session")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], tuple[Any, str]]]:
    """Gives a server and a new key of it, which may send little in a minute."""
    folder = tmp_path_factory.mktemp("busy")
    names = [f"client-{number}" for number in range(100)]
    keys = {name: f"a-key-of-{name}" for name in names}
    with _serving(folder, f"key_pairs_per_minute = {PER_MINUTE}", keys) as found:
        fresh = iter(names)
        yield lambda: (found, keys[next(fresh)])  # type: ignore[misc]


@contextmanager
def _serving(folder: Path, limit: str, keys: Mapping[str, str]) -> Iterator[Any]:
    config = folder / "resift.toml"
    config.write_text(f"[server]\ndrain_seconds = 0\n[limits]\n{limit}\n", encoding="utf-8")
    given = ",".join(f"{name}={key}" for name, key in keys.items())
    environment = {**os.environ, "RESIFT_API_KEYS": given}
    with process("--config", str(config), env=environment) as found:
        yield found
        found.terminate()
        found.wait(PATIENCE)


@pytest.fixture(scope="session")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Caller]]:
    """Gives the process that calls the clients of an environment."""
    with ExitStack() as stack:
        started: dict[str, Caller] = {}

        def start(environment: str) -> Caller:
            if environment not in started:
                python = python_of(environment)
                if python is None:
                    reason = f"no environment .venv-clients-{environment}: python dev.py test"
                    if os.environ.get("RESIFT_TEST_CLIENTS") == "required":
                        pytest.fail(reason)
                    pytest.skip(reason)
                log = tmp_path_factory.mktemp("clients") / f"{environment}.log"
                started[environment] = stack.enter_context(calling(python, log))
            return started[environment]

        yield start
