"""The checkouts that are compared."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from environments import ROOT
from reasons import UnavailableError


@dataclass(frozen=True)
class Side:
    """A checkout's sources, and its revision."""

    name: str
    source: Path
    revision: str


def this_side() -> Side:
    """The checkout that this file is in."""
    return Side("this", ROOT / "src", _revision(ROOT))


def other_side(given: str, cache: Path) -> Side:
    """Another checkout's folder, or a revision of this repository, unpacked below ``cache``.

    Raises ``UnavailableError`` for what is neither.
    """
    folder = Path(given)
    if (folder / "src/resift").is_dir():
        return Side("against", (folder / "src").resolve(), _revision(folder))
    commit = _git(ROOT, "rev-parse", "--verify", f"{given}^{{commit}}").strip()
    if not commit:
        raise UnavailableError(f"{given!r} is neither a checkout's folder nor a revision")
    target = cache / "revisions" / commit
    if not target.exists():
        with tempfile.TemporaryDirectory() as packed:
            archive = str(Path(packed, "src.tar"))
            command = ["git", "-C", str(ROOT), "archive", "--output", archive, commit, "src"]
            subprocess.run(command, check=True)
            shutil.unpack_archive(archive, target, filter="data")
    return Side("against", target / "src", commit[:7])


def _revision(folder: Path) -> str:
    found = _git(folder, "describe", "--always", "--dirty", "--exclude=*")
    return found.strip() or "no revision"


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, encoding="utf-8")
    return done.stdout if done.returncode == 0 else ""
