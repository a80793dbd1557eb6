"""A calibration in a cache of its own, and another model than it belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_models
from model_calibrations.contents import content_of, save


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model than ``tiny``: one that has two labels."""
    return tiny_models.build(tmp_path_factory.mktemp("other"), labels=2)


@pytest.fixture
def search(tiny: Path, cache: Path) -> str:
    """The name of a calibration of ``tiny``."""
    return save(cache, content_of(tiny))
