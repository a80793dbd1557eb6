"""Servers on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from remote.faults import NAMES
from remote.loopback import Loopback, serve


@pytest.fixture(params=NAMES)
def server(request: pytest.FixtureRequest) -> Iterator[Loopback]:
    """One of each wire shape."""
    with serve(request.param) as loopback:
        yield loopback


@pytest.fixture
def tei() -> Iterator[Loopback]:
    """One that speaks as Text Embeddings Inference does."""
    with serve("tei") as loopback:
        yield loopback
