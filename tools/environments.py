"""Virtual environments, and what is installed into them."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INTEGRATIONS = [
    "integrations/langchain-resift",
    "integrations/llama-index-postprocessor-resift",
    "integrations/resift-haystack",
    "integrations/resift-ray",
]
MODELS = ["models/resift-base", "models/resift-multilingual"]
DISTRIBUTIONS = [".", *INTEGRATIONS, *MODELS]
RAY = "ray>=2.59"
"""Has no release for some machines and the newest Python, where resift-ray is left out."""


def environment(folder: str | None = None, *, clear: bool = False) -> str:
    """The Python of a virtual environment: of the active one unless a folder is named."""
    if folder is None and sys.prefix != sys.base_prefix:
        return sys.executable
    home = ROOT / (folder or ".venv")
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if clear or not python.exists():
        # Links, as "python -m venv" makes: a copy may still be open for writing when it is first
        # run, in a process that another thread is just starting.
        venv.create(home, clear=clear, symlinks=os.name != "nt", with_pip=True)
    return str(python)


def kept_environment(folder: str, *requirements: Path, alone: Path | None = None) -> None:
    """An environment of other people's programs, made once and kept until its requirements change.

    What ``alone`` names is installed without its own requirements. Where it can't be made, as
    without a network, the tests say that they leave it out.
    """
    made = ROOT / folder / "requirements.txt"
    wanted = b"".join(path.read_bytes() for path in (*requirements, *([alone] if alone else [])))
    if made.exists() and made.read_bytes() == wanted:
        return
    try:
        needed = [part for path in requirements for part in ("--requirement", str(path))]
        # Most of their files are never imported.
        python = environment(folder, clear=True)
        pip(python, "--no-compile", *needed)
        if alone is not None:
            pip(python, "--no-compile", "--no-deps", "--requirement", str(alone))
    except subprocess.CalledProcessError:
        sys.stderr.write(f"{folder} couldn't be made\n")
    else:
        made.write_bytes(wanted)


def installable(python: str) -> list[str]:
    """Our distributions, but for that of Ray where Ray has no release."""
    command = [python, "-m", "pip", "install", "--dry-run", "--no-deps", "--only-binary=:all:"]
    if subprocess.run([*command, RAY], capture_output=True).returncode:
        sys.stderr.write(f"there is no {RAY} for this Python and machine: resift-ray is left out\n")
        return [each for each in DISTRIBUTIONS if not each.endswith("-ray")]
    return DISTRIBUTIONS


def requirements(group: str, folders: Sequence[str] = DISTRIBUTIONS) -> list[str]:
    """A dependency group of the engine, and of adapters that have one of this name.

    Read here, as Python 3.11's pip can't.
    """
    found: list[str] = []
    for folder in folders:
        content = tomllib.loads(Path(folder, "pyproject.toml").read_text(encoding="utf-8"))
        groups = content.get("dependency-groups", {})
        for each in groups[group] if folder == "." else groups.get(group, []):
            if isinstance(each, dict):
                found += requirements(each["include-group"], [folder])
            else:
                found.append(each)
    return found


def install(python: str, packages: Sequence[str], *options: str) -> None:
    """Install our packages from the checkout, together, so that they find each other."""
    # Once, and not into a fresh environment for each of them.
    pip(python, "hatchling>=1.27", "editables")
    pip(
        python,
        "--no-build-isolation",
        *options,
        *(part for package in packages for part in ("--editable", package)),
    )


def pip(python: str, *arguments: str) -> None:
    """``pip install``, quietly."""
    sys.stderr.write(f"installing into {Path(python).parent.parent.name} …\n")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)


def run(python: str, *arguments: str) -> None:
    """Run Python; raises ``CalledProcessError`` where it fails."""
    subprocess.run([python, *arguments], check=True)


def site_packages(python: str) -> str:
    """Where a Python keeps what pip installs."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run(
        [python, "-c", code], check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    return done.stdout.strip()
