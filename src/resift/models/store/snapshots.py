"""Snapshots of hub repositories in the cache, in the layout of ``huggingface_hub``."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from resift.checks import COMMIT
from resift.errors import BackendUnavailableError, ModelNotFoundError, UnsupportedModelError
from resift.models.artifacts import Wanted, choose_files, is_whole
from resift.models.card import DESCRIPTIONS, Card
from resift.models.store.cache import Cache, store_name
from resift.models.store.manifest import Manifest
from resift.models.store.paths import check_inside, list_files, read_json


def snapshot_folder(manifest: Manifest, cache: Cache) -> Path:
    """The folder of a recorded snapshot."""
    return cache.folder(f"{store_name(manifest.name)}/{manifest.revision}")


def read_card(folder: Path, present: Collection[str]) -> Card | None:
    """Read the card, if it is among the files that are ``present``.

    Raises ``UnsupportedModelError`` for a damaged card.
    """
    path = folder / "card.json"
    return Card.parse(read_json(path), path) if path.name in present else None


def record(repository: str, folder: Path, cache: Cache, files: Iterable[str]) -> Manifest:
    """Add to a snapshot's manifest the ``files`` that it lacks, and return it."""
    key = f"{store_name(repository)}/{folder.name}"
    known = cache.read_record(key)
    recorded = dict(known.files) if known else {}
    missing = [name for name in files if name not in recorded]
    if known and not missing:
        return known
    new = Manifest.of(folder, name=repository, revision=folder.name, files=missing)
    manifest = Manifest(name=repository, revision=folder.name, files={**recorded, **new.files})
    cache.record(key, manifest)
    return manifest


def find_snapshot(
    repository: str, revision: str | None, cache: Cache, wanted: Wanted, *, settle: bool
) -> Manifest | None:
    """The manifest of a snapshot with all files that a model needs, or ``None``.

    It is written now if it is missing. Where the card lists weights that are preferred to those in
    the cache, the snapshot is returned only with ``settle``.
    """
    store = cache.root / store_name(repository)
    commit = revision or "main"
    if not COMMIT.fullmatch(commit):
        ref = check_inside(store / "refs" / commit, store)
        commit = ref.read_text(encoding="utf-8").strip() if ref.is_file() else ""
    folder = cache.folder(f"{store.name}/{commit}")
    if not (COMMIT.fullmatch(commit) and folder.is_dir()):
        return None
    known = cache.read_record(f"{store.name}/{commit}")
    present = list(known.files) if known else list_files(folder)
    card, config = read_card(folder, present), _config(folder)
    try:
        weights = choose_files(repository, card, config, present, wanted)
        if card and not settle:
            listed = {*present, *(each.file for each in card.artifacts)}
            if not set(present).issuperset(choose_files(repository, card, config, listed, wanted)):
                return None
    except (BackendUnavailableError, ModelNotFoundError):
        return None
    if not {"config.json", "tokenizer.json"}.issubset(present):
        return None
    if known:
        return known
    if not all(is_whole(folder / name) for name in weights):
        # The client links each file once it is whole, so some may still be missing.
        return None
    return record(repository, folder, cache, [*DESCRIPTIONS.intersection(present), *weights])


def _config(folder: Path) -> dict[str, Any]:
    """The content of ``config.json``; empty where missing or damaged, which is reported later."""
    path = folder / "config.json"
    try:
        return read_json(path) if path.is_file() else {}
    except UnsupportedModelError:
        # The manifest's checks report it, or reading it to run the model does.
        return {}
