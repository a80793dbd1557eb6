"""Check that wheels have every file of their package that git knows, and no other.

python tools/check_wheels.py dist/*
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Check the wheels among the arguments against all projects; returns the exit status."""
    wheels = [Path(each) for each in sys.argv[1:] if each.endswith(".whl")]
    others = ROOT.glob("integrations/*/pyproject.toml"), ROOT.glob("models/*/pyproject.toml")
    projects = [ROOT, *sorted(path.parent for found in others for path in found)]
    faults = [fault for project in projects for fault in check(project, wheels)]
    sys.stdout.writelines(f"{fault}\n" for fault in faults)
    return 1 if faults else 0


def check(project: Path, wheels: list[Path]) -> Iterator[str]:
    """Yield the faults of the wheel of one project."""
    content = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    name = content["project"]["name"]
    prefix = name.replace("-", "_") + "-"
    found = [wheel for wheel in wheels if wheel.name.startswith(prefix)]
    if len(found) != 1:
        yield f"{name}: expected one wheel, got {[wheel.name for wheel in found]}"
        return
    members = {each.filename: each.file_size for each in zipfile.ZipFile(found[0]).infolist()}
    packed = set(members)
    about = {each for each in packed if PurePosixPath(each).parts[0].endswith(".dist-info")}
    wanted = tracked(project / "src")
    yield from (f"{found[0].name}: lacks {each}" for each in sorted(wanted - packed))
    yield from (f"{found[0].name}: unknown {each}" for each in sorted(packed - about - wanted))
    licences = {PurePosixPath(each).name for each in about if "/licenses/" in each}
    for each in ("LICENSE", "NOTICE"):
        if (project / each).exists() and each not in licences:
            yield f"{found[0].name}: lacks its {each}"
    # A model's package has one file of Python, which is empty.
    has_code = any(size for each, size in members.items() if each.endswith(".py"))
    if has_code and not any(each.endswith("/py.typed") for each in packed):
        yield f"{found[0].name}: lacks py.typed"


def tracked(folder: Path) -> set[str]:
    """The files below a folder that git knows, by their paths in it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=folder, check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    return set(listed.stdout.split("\0")) - {""}


if __name__ == "__main__":
    sys.exit(main())
