"""Verify, remove and bundle cached models."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from resift.errors import InvalidRequestError, ModelNotFoundError
from resift.models.catalogue import find_listing
from resift.models.folder import ModelFiles
from resift.models.store.cache import Cache, store_name
from resift.models.store.manifest import BUNDLE_MANIFEST, Manifest
from resift.models.store.paths import check_inside
from resift.redaction import shown

# Files for people and for FlashRank, copied along.
_BESIDE = ("LICENSE", "NOTICE", "README.md", "special_tokens_map.json", "vocab.txt")


def keys_of(model: str, cache: Cache) -> list[str]:
    """The keys of a model's records: one for each revision of a model from the hub."""
    stores = _stores(model)
    found = [key for key in cache.keys() if key.partition("/")[0] in stores]  # noqa: SIM118
    if found:
        return found
    named = ((key, cache.read_record(key)) for key in cache.keys())  # noqa: SIM118
    return [key for key, manifest in named if manifest and manifest.name == shown(model)]


def verify(key: str, cache: Cache) -> Manifest:
    """Check all files of the model ``key`` in the cache. Raises what loading it would raise."""
    manifest = cache.read_record(key)
    if manifest is None:
        raise ModelNotFoundError(f"{cache.record_path(key)} is missing: get {key} again")
    _check(manifest, cache.folder(key))
    return manifest


def verify_bundle(folder: Path) -> Manifest:
    """Check all files of a bundle. Raises what loading it would raise."""
    manifest = Manifest.read(folder / BUNDLE_MANIFEST)
    if manifest is None:
        raise ModelNotFoundError(f"{folder / BUNDLE_MANIFEST} is missing; expected a bundle")
    _check(manifest, folder)
    return manifest


def remove(model: str, cache: Cache) -> list[Path]:
    """Delete a model with all its revisions and partial downloads; returns the paths deleted.

    Raises ``ModelNotFoundError`` where the cache doesn't have it.
    """
    stores = _stores(model) | {key.partition("/")[0] for key in keys_of(model, cache)}
    removed = []
    for store in sorted(stores):
        with cache.lock(store):
            found = list(_belongings(store, cache))
            for path in found:
                # A link is deleted, not its target.
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            removed += found
    if not removed:
        raise ModelNotFoundError(f"{shown(model)} is not in the cache {cache.root}")
    return removed


def bundle(files: ModelFiles, out: Path) -> Manifest:
    """Write a model to the new folder or zip archive ``out``, which ``Reranker(out)`` reads.

    ``out`` appears whole or not at all. Raises ``InvalidRequestError`` where it already exists.
    """
    if out.exists():
        raise InvalidRequestError(f"{out} exists already; expected a new folder or .zip archive")
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as parent:
        folder = Path(parent, "model")
        copy_files(files, folder)
        name = Path(files.name).name if os.path.isabs(files.name) else files.name  # noqa: PTH117
        manifest = Manifest.of(folder, name=name, revision=files.revision)
        manifest.write(folder / BUNDLE_MANIFEST)
        if out.suffix == ".zip":
            _zip(folder, Path(parent, "archive")).rename(out)
        else:
            folder.rename(out)
    return manifest


def copy_files(files: ModelFiles, folder: Path) -> None:
    """Copy all of a model that the engine may read, and what is for people, into a folder."""
    beside = [name for name in _BESIDE if (files.folder / name).is_file()]
    for name in [*files.files, *beside]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(check_inside(files.folder / name, files.folder), folder / name)


def _zip(folder: Path, archive: Path) -> Path:
    # Weights hardly compress.
    with zipfile.ZipFile(archive, "x", zipfile.ZIP_STORED) as content:
        for path in sorted(folder.rglob("*")):
            content.write(path, path.relative_to(folder))
    return archive


def _stores(model: str) -> set[str]:
    listing = find_listing(model)
    if listing is not None and listing.source == "flashrank":
        return {listing.name}
    repository = listing.repository if listing else model
    return {store_name(repository)} if repository.count("/") == 1 else {model}


def _belongings(store: str, cache: Cache) -> Iterator[Path]:
    if not store or Path(store).name != store or store.startswith("."):
        return
    for path in (
        cache.root / store,
        cache.root / ".locks" / store,
        cache.record_path(store),
        cache.record_path(store).with_suffix(""),
    ):
        if path.exists() or path.is_symlink():
            yield path
    yield from cache.downloads.glob(f"{store}-*")
    yield from cache.downloads.glob(f"{store}.part")


def _check(manifest: Manifest, folder: Path) -> None:
    manifest.check_names(folder)
    manifest.check_contents(folder)
