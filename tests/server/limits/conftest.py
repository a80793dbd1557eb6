"""A scorer that holds requests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from server.limits.holding import Held


@pytest.fixture
def held() -> Iterator[Held]:
    found = Held()
    yield found
    found.let.set()
