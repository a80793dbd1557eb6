"""A virtual environment for each system: they want different versions of the same packages."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

from systems import System

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Has torch and transformers, so that "resift export" runs in it too.
EXPORT = "reference"
# What venv brings by itself.
_NOT_COUNTED = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence")


class Environments:
    """The environments below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._reinstalled: set[str] = set()

    def make(self, name: str) -> Path:
        """The Python of an environment, made where it isn't there or its requirements changed."""
        home = self.folder / name
        python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        requirements = HERE.parent / f"requirements-{name}.txt"
        wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
        stamp = home / "requirements.sha256"
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
            note(f"making the environment {name} …")
            venv.create(home, with_pip=True, clear=True)
            # The files name everything. Without dependencies nothing else can come in: neither
            # gigabytes of CUDA, nor a torchvision that was not built for the torch there is.
            self._pip(python, "--no-deps", "--requirement", str(requirements))
            stamp.write_text(wanted, encoding="utf-8")
        if name.startswith(("resift", EXPORT)) and name not in self._reinstalled:
            # Not editable: its size is measured, and nobody's edits get into the middle of a run.
            self._pip(python, "--no-deps", "--force-reinstall", str(ROOT))
            self._reinstalled.add(name)
        return python

    def _pip(self, python: Path, *arguments: str) -> None:
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, *arguments], check=True)

    def installed_size(self, name: str) -> int:
        """Bytes of all installed packages, less what every new environment has."""
        return sum(
            path.stat().st_size
            for package in self._site_packages(name).iterdir()
            if not package.name.lower().startswith(_NOT_COUNTED)
            for path in _files(package)
        )

    def versions(self, name: str) -> dict[str, str]:
        """Package names and versions."""
        return {
            package.lower(): version
            for path in self._site_packages(name).glob("*.dist-info")
            for package, version in [path.name.removesuffix(".dist-info").rsplit("-", 1)]
        }

    def import_seconds(self, system: System) -> float:
        """Time of its import statement in a new process."""
        code = f"import time; t = time.perf_counter(); {system.statement}\n"
        code += "print(time.perf_counter() - t)"
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "ORT_DISABLE_TELEMETRY": "1"}
        done = subprocess.run(
            [str(self.make(system.environment)), "-c", code],
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=True,
            env=environment,
        )
        return float(done.stdout.splitlines()[-1])

    def _site_packages(self, name: str) -> Path:
        (found,) = {path.resolve() for path in (self.folder / name).rglob("site-packages")}
        return found


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:
        yield from (each for each in path.rglob("*") if each.is_file() and not each.is_symlink())


def note(text: str) -> None:
    """Progress, on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
