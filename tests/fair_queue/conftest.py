"""A model for tests of the queue, let run in the end so that no worker waits for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fair_queue.jobs import Model


@pytest.fixture
def model() -> Iterator[Model]:
    found = Model()
    yield found
    found.run_freely()
