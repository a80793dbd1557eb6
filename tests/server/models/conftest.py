"""The models of a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from server.models.configured import Make

from resift.server.config import Config
from resift.server.models import Models


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def of(text: str) -> Models:
        path = tmp_path / "resift.toml"
        path.write_text(text, encoding="utf-8")
        return Models(Config.read(path))

    return of
