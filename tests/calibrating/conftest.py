"""Judged lines, and a cache for calibrations."""

from __future__ import annotations

from pathlib import Path

import pytest
from calibrating.lines import Lines, searched, write


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def lines(tiny: Path) -> Lines:
    return searched(tiny)


@pytest.fixture
def judged(lines: Lines, tmp_path: Path) -> Path:
    return write(tmp_path / "judged.jsonl", lines)
