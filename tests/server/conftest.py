"""Servers for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from server.running import PATIENCE, Serve, configured, serving

from resift import Reranker
from resift.scoring import Scorer
from resift.server import models
from resift.server.app import Server


@pytest.fixture(scope="session")
def reranker() -> Reranker:
    """The bundled model in this process, for comparison."""
    return Reranker()


@pytest.fixture(scope="session")
def server() -> Iterator[httpx.Client]:
    """A client of a server with the bundled model."""
    with (
        serving(Server.of(configured())) as address,
        httpx.Client(base_url=address, timeout=PATIENCE) as client,
    ):
        yield client


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts a server, with ``scorer`` in place of its model where one is given."""
    with ExitStack() as stack:

        def start(scorer: Scorer | None = None, **given: Any) -> httpx.Client:
            if scorer is not None:
                monkeypatch.setattr(models, "Leased", lambda _resident: scorer)
            made = Server.of(configured(**given))
            # Such a scorer needn't be able to rank the pair of a probe.
            probe = "/health/ready" if scorer is None else "/health/live"
            address = stack.enter_context(serving(made, probe))
            client = stack.enter_context(httpx.Client(base_url=address, timeout=PATIENCE))
            client.server = made  # type: ignore[attr-defined]
            return client

        yield start
