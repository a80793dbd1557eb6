"""Models in zip archives: on disk, or by address and sha256."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from resift.errors import InvalidRequestError, OfflineError
from resift.models.artifacts import Wanted
from resift.models.folder import ModelFiles, read_recorded
from resift.models.store.cache import Cache
from resift.models.store.downloads import fetch
from resift.models.store.manifest import BUNDLE_MANIFEST, Manifest, sha256
from resift.models.store.zipped import unpack
from resift.redaction import shown

_DIGEST = re.compile(r"sha256=([0-9a-fA-F]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlArchive:
    """A zip archive at an address, known by its sha256."""

    url: str
    digest: str
    cache: Cache
    offline: bool
    listing = None

    @classmethod
    def at(cls, given: str, *, cache: Cache, offline: bool) -> UrlArchive:
        """Read ``https://…#sha256=…``. Raises ``InvalidRequestError`` without the sha256."""
        url, _, fragment = given.partition("#")
        match = _DIGEST.fullmatch(fragment)
        if match is None:
            raise InvalidRequestError(
                f"{shown(url)} comes without a digest, so nobody could tell whether it was "
                "replaced; expected the address of a zip archive followed by #sha256= and 64 "
                "hexadecimal digits"
            )
        return cls(url=url, digest=match[1].lower(), cache=cache, offline=offline)

    def describe(self, wanted: Wanted) -> None:
        """Return ``None``: nothing is known before the archive is fetched."""

    def fetch(self, wanted: Wanted) -> ModelFiles:  # noqa: ARG002
        """Download and unpack the archive, unless it is in the cache.

        Raises ``OfflineError`` where the network is off, ``ModelNotFoundError`` where the download
        fails, ``UnsupportedModelError`` for another sha256 or an archive that can't be a model.
        """
        name, key = shown(self.url), f"url--{self.digest[:16]}"
        with self.cache.lock(key, create=not self.offline):
            if not self.cache.folder(key).is_dir():
                if self.offline:
                    raise not_in_cache(name, self.cache)
                archive = fetch(
                    self.url, self.cache, key=key, digest=self.digest, size=None, token=False
                )
                try:
                    publish(archive, self.cache, key, name=name, revision=self.digest[:12])
                finally:
                    archive.unlink()
            manifest = known(self.cache, key, name)
        return checked(self.cache, key, manifest)


@dataclass(frozen=True, slots=True)
class FileArchive:
    """A zip archive on disk."""

    path: Path
    cache: Cache
    listing = None

    def describe(self, wanted: Wanted) -> None:
        """Return ``None``: nothing has to be fetched."""

    def fetch(self, wanted: Wanted) -> ModelFiles:  # noqa: ARG002
        """Unpack the archive into the cache at its first use."""
        digest = sha256(self.path)
        key, name = f"file--{digest[:16]}", str(self.path)
        with self.cache.lock(key):
            if not self.cache.folder(key).is_dir():
                publish(self.path, self.cache, key, name=name, revision=digest[:12])
            manifest = known(self.cache, key, name)
        return checked(self.cache, key, manifest)


def publish(archive: Path, cache: Cache, key: str, *, name: str, revision: str | None) -> None:
    """Unpack an archive into the cache: whole, or not at all."""
    cache.create()
    folder = Path(mkdtemp(dir=cache.downloads, prefix=f"{key}-"))
    try:
        unpack(archive, folder)
        bundled = Manifest.read(folder / BUNDLE_MANIFEST)
        if bundled is not None:
            bundled.check_names(folder)
            bundled.check_contents(folder)
            name, revision = bundled.name, bundled.revision
        cache.record(key, Manifest.of(folder, name=name, revision=revision))
        folder.chmod(0o755)
        folder.rename(cache.root / key)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def known(cache: Cache, key: str, name: str) -> Manifest:
    """The manifest of a folder in the cache; written now where another program filled it."""
    folder = cache.folder(key)
    manifest = cache.read_record(key)
    if manifest is None:
        manifest = Manifest.of(folder, name=name, revision=None)
        cache.record(key, manifest)
    manifest.check_names(folder)
    return manifest


def checked(cache: Cache, key: str, manifest: Manifest) -> ModelFiles:
    """The model in a folder of the cache, after checking its files against the manifest."""
    folder = cache.folder(key)
    manifest.check_contents(folder)
    return read_recorded(folder, manifest)


def not_in_cache(name: str, cache: Cache) -> OfflineError:
    """The error for a model that would have to be downloaded while the network is off."""
    return OfflineError(
        f"{name} is not in the cache {cache.root}, and the network is off (offline=True, "
        "RESIFT_OFFLINE or HF_HUB_OFFLINE); load it once online, give the path of a folder, or use "
        "the bundled model: Reranker()"
    )
