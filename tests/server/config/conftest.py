"""Configurations from text."""

from __future__ import annotations

from pathlib import Path

import pytest
from server.config.text import Read

from resift.server.config import Config


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def from_text(text: str) -> Config:
        path = tmp_path / "resift.toml"
        path.write_text(text, encoding="utf-8")
        return Config.read(path)

    return from_text
