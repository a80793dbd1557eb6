"""Models to compare servers with."""

from __future__ import annotations

import pytest

from resift import Reranker
from resift.scoring import Cached, Local


@pytest.fixture(scope="session")
def small() -> Reranker:
    return Reranker(scorer=Cached(Local("resift-small")))


@pytest.fixture(scope="session")
def nano() -> Reranker:
    return Reranker(scorer=Cached(Local("resift-nano")))
