"""The folder that keeps downloaded models: its location, its permissions, and its locks."""

from __future__ import annotations

import logging
import os
import stat
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from resift.errors import InvalidRequestError, UnsupportedModelError
from resift.folders import cache_folder
from resift.models.store.manifest import Manifest

_logger = logging.getLogger(__name__)

_OURS = ".resift"


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of models, with their manifests in ``.resift``.

    Hub repositories are stored as ``huggingface_hub`` stores them, FlashRank's models as FlashRank
    does, so that each program finds its own.
    """

    root: Path

    @classmethod
    def at(cls, cache_dir: str | os.PathLike[str] | None) -> Cache:
        """The cache in the folder given, or else in ``RESIFT_CACHE`` or the user's cache folder.

        Raises ``InvalidRequestError`` where others than the user may write to it.
        """
        cache = cls(cache_folder(cache_dir))
        for folder in (cache.root, cache.root / _OURS):
            _check_permissions(folder)
        return cache

    def create(self) -> None:
        """Make the folder, for the user alone, unless it exists.

        Raises ``InvalidRequestError`` where it can't be made or written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            (self.root / _OURS).mkdir(exist_ok=True, mode=0o700)
            self.downloads.mkdir(exist_ok=True)
        except OSError as error:
            raise InvalidRequestError(
                f"the cache folder {self.root} can't be written: {error}. Give cache_dir= or "
                "RESIFT_CACHE a folder that can, or model= the path of a model's folder"
            ) from error

    @property
    def downloads(self) -> Path:
        """The folder of archives that are still being downloaded."""
        return self.root / _OURS / "downloads"

    def lock(self, key: str, *, create: bool = True) -> AbstractContextManager[object]:
        """A lock that one process at a time holds while it reads or changes the model ``key``.

        With ``create``, the folder is made. No lock is taken where the folder can't be written or
        doesn't exist.
        """
        if not self.is_writable() or not (create or (self.root / _OURS).is_dir()):
            return nullcontext()
        from filelock import FileLock

        self.create()
        locks = self.root / _OURS / "locks"
        locks.mkdir(exist_ok=True)
        return FileLock(locks / f"{key}.lock")

    def is_writable(self) -> bool:
        """Whether this process may write to the folder, or make it."""
        ours = self.root / _OURS
        existing = next(path for path in (ours, *ours.parents) if path.exists())
        return os.access(existing, os.W_OK)

    def record_path(self, key: str) -> Path:
        """The path of the manifest of the model ``key``."""
        return self.root / _OURS / "records" / f"{key}.json"

    def record(self, key: str, manifest: Manifest) -> None:
        """Write a manifest; a failure is logged."""
        if self.is_writable():
            self.create()
            manifest.write(self.record_path(key))
        else:
            _logger.warning(
                "%s can't be written, so the digests of %s can't be kept: a later change of its "
                "files will not be noticed",
                self.root,
                manifest.name,
            )

    def keys(self) -> list[str]:
        """The keys of all recorded models: folder names, with the commit for the hub's."""
        folder = self.root / _OURS / "records"
        return [
            path.relative_to(folder).as_posix().removesuffix(".json")
            for path in sorted(folder.rglob("*.json"))
        ]

    def read_record(self, key: str) -> Manifest | None:
        """Read the manifest of the model ``key``; ``None`` where there is none."""
        return Manifest.read(self.record_path(key))

    def folder(self, key: str) -> Path:
        """The folder of the model ``key``; the hub's models are named by repository and commit.

        Raises ``UnsupportedModelError`` for a link that leads out of the cache.
        """
        store, _, commit = key.partition("/")
        folder = self.root / store / "snapshots" / commit if commit else self.root / key
        if not folder.resolve().is_relative_to(self.root.resolve()):
            raise UnsupportedModelError(
                f"{folder} leads to {folder.resolve()}, out of the cache; expected a folder inside "
                "it. Give that one as model= if you trust it"
            )
        return folder


def store_name(repository: str) -> str:
    """The folder of a hub's repository in the cache, as the hub's client names it."""
    return "models--" + repository.replace("/", "--")


def _check_permissions(folder: Path) -> None:
    # Windows keeps permissions elsewhere than in the mode.
    mode = folder.stat().st_mode if os.name == "posix" and folder.exists() else 0
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InvalidRequestError(
            f"others may write to the cache folder {folder} (mode {stat.S_IMODE(mode):o}), and so "
            f"replace a model; run chmod go-w {folder}, or give cache_dir= or RESIFT_CACHE another "
            "folder. A model's own folder can be given as model="
        )
