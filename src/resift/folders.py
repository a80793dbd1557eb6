"""The folder of what resift keeps for the user."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder given, or else that in ``RESIFT_CACHE``, or in the user's cache folder."""
    given = cache_dir or os.environ.get("RESIFT_CACHE") or _users_cache() / "resift"
    return Path(given).expanduser().absolute()


def _users_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
