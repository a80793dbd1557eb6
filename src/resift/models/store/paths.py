"""Paths inside a model's folder, and links that lead out of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from resift.errors import UnsupportedModelError


def check_inside(path: Path, folder: Path) -> Path:
    """Return ``path`` if its target is in the model's folder, or among the hub client's blobs.

    Raises ``UnsupportedModelError`` for a link that leads elsewhere.
    """
    target = path.resolve()
    if not any(target.is_relative_to(home) for home in _homes(folder)):
        raise UnsupportedModelError(
            f"{path} leads to {target}, out of the model's folder; expected a file inside it. "
            "Copy the file there if you trust it, or get the model again"
        )
    return path


def list_files(folder: Path) -> list[str]:
    """All files in a folder, as sorted paths inside it; links to folders count as files."""
    found = []
    for parent, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        found += [(Path(parent) / name).relative_to(folder).as_posix() for name in files + links]
    return sorted(found)


def is_hub_link(path: Path) -> bool:
    """Whether ``path`` is a link that ``huggingface_hub`` made, from a snapshot to its blobs."""
    return path.is_symlink() and any(
        path.resolve().is_relative_to(home) for home in _homes(path.parent)[1:]
    )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises ``UnsupportedModelError`` for a file that holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UnsupportedModelError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise UnsupportedModelError(f"{path} holds a {type(content).__name__}; expected an object")
    return content


def _homes(folder: Path) -> tuple[Path, ...]:
    real = folder.resolve()
    for snapshot in (real, *real.parents):
        store = snapshot.parent.parent
        if snapshot.parent.name == "snapshots" and store.name.startswith("models--"):
            # huggingface_hub links a snapshot's files to "blobs" beside it, and newer releases
            # link these to "blobs" of the whole cache.
            return (real, store / "blobs", store.parent / "blobs")
    return (real,)
