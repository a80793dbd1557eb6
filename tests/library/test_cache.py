"""The cache's folder: where it is, and what may be in its place."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pytest
from hub_client import DOCUMENTS

from resift import InvalidRequestError, Reranker
from resift.models.store.cache import Cache


def test_a_cache_that_cannot_be_written_is_refused(tmp_path: Path, tiny: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o500)
    if os.access(cache, os.W_OK):
        # Root's, who makes no folder there. Windows knows no such mode.
        cache = Path("/sys/cache")
        if not cache.parent.is_dir():
            pytest.skip("this user may write anywhere")
    archive = shutil.make_archive(str(tmp_path / "model"), "zip", tiny)
    with pytest.raises(InvalidRequestError, match="can't be written"):
        Reranker(archive, cache_dir=cache).warm_up()


def test_a_cache_in_a_read_only_image_is_used(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    name = "ms-marco-MiniLM-L-12-v2"
    shutil.copytree(tiny, tmp_path / name)
    (tmp_path / ".resift").mkdir(mode=0o700)
    before = sorted(tmp_path.rglob("*"))
    # As for a user who isn't root.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    monkeypatch.delattr("filelock.FileLock")
    with caplog.at_level(logging.WARNING):
        ranking = Reranker(name, cache_dir=tmp_path, offline=True).rank("a", DOCUMENTS)
    assert ranking[0].index == 1
    assert "will not be noticed" in caplog.text
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_in_place_of_the_cache_is_refused(tmp_path: Path, tiny: Path) -> None:
    (tmp_path / "cache").write_text("", encoding="utf-8")
    archive = shutil.make_archive(str(tmp_path / "model"), "zip", tiny)
    with pytest.raises(InvalidRequestError, match="can't be written"):
        Reranker(archive, cache_dir=tmp_path / "cache").warm_up()


def test_the_cache_is_found_by_argument_environment_and_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RESIFT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert Cache.at(None).root == tmp_path / "resift"
    monkeypatch.setenv("RESIFT_CACHE", str(tmp_path / "own"))
    assert Cache.at(None).root == tmp_path / "own"
    assert Cache.at(tmp_path / "given").root == tmp_path / "given"
    assert not list(tmp_path.iterdir())
