"""A hub with the tiny model."""

from __future__ import annotations

import hub_server
import pytest


@pytest.fixture
def commit(hub: hub_server.Hub, files: dict[str, bytes]) -> str:
    return hub.commit("acme/tiny", files)
