"""The cache of this process."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of this process: empty."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("RESIFT_CACHE", str(folder))
    return folder
