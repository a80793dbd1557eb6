"""A virtual environment for each system: they want different versions of the same packages."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from network import OFFLINE
from reasons import UnavailableError, ended, in_short
from systems import EXPORT, REFERENCE, System

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# What venv brings by itself.
_NOT_COUNTED = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence")
_IMPORT_SECONDS = _LOOK_SECONDS = 300.0


class Environments:
    """The environments below one folder. What runs in them sees ``variables``.

    ``patch`` is a command that is run once on each when it is made, with its ``site-packages`` as
    the last argument. Every method raises ``UnavailableError`` for what can't be made or run.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str], patch: str = "") -> None:
        self.folder = folder
        self.variables = {**os.environ, **OFFLINE, **variables}
        self._patch = patch
        self._made: dict[str, Path] = {}
        self._failed: dict[str, str] = {}

    def make(self, name: str) -> Path:
        """The Python of an environment, made where it isn't there or its requirements changed."""
        if name in self._failed:
            raise UnavailableError(self._failed[name])
        if name not in self._made:
            try:
                self._made[name] = self._make(name)
            except (UnavailableError, subprocess.CalledProcessError, OSError) as error:
                self._failed[name] = f"its environment can't be made: {in_short(str(error))}"
                raise UnavailableError(self._failed[name]) from error
        return self._made[name]

    def run(self, name: str, script: str, *arguments: str, seconds: float) -> str:
        """The standard output of a script of this folder, in an environment."""
        command = [str(self.make(name)), str(HERE / script), *arguments]
        return _output(command, self.variables, seconds)

    def look(self) -> tuple[str, dict[str, str]]:
        """The class of the processor, and what engines take it for."""
        try:
            text = self.run(REFERENCE.environment, "processor.py", seconds=_LOOK_SECONDS)
        except UnavailableError as error:
            return platform.machine().lower(), {"": in_short(str(error))}
        found = json.loads(text)
        return found["class"], found["seen"]

    def import_seconds(self, system: System) -> float:
        """Time of its import statement in a new process."""
        code = f"import time; t = time.perf_counter(); {system.statement}\n"
        code += "print(time.perf_counter() - t)"
        command = [str(self.make(system.environment)), "-c", code]
        return float(_output(command, self.variables, _IMPORT_SECONDS).splitlines()[-1])

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

    def _make(self, name: str) -> Path:
        home = self.folder / name
        python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        requirements = HERE.parent / f"requirements-{name}.txt"
        wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
        stamp, patched = home / "requirements.sha256", home / "patch.txt"
        if _read(stamp) != wanted or _read(patched) not in ("", self._patch):
            note(f"making the environment {name} …")
            venv.create(home, with_pip=True, clear=True)
            # The files name everything. Without dependencies nothing else can come in: neither
            # gigabytes of CUDA, nor a torchvision that was not built for the torch there is.
            _pip(python, "--no-deps", "--requirement", str(requirements))
            stamp.write_text(wanted, encoding="utf-8")
        if self._patch and not patched.exists():
            command = [*shlex.split(self._patch), str(self._site_packages(name))]
            _output(command, os.environ)
            patched.write_text(self._patch, encoding="utf-8")
        if name.startswith(("resift", EXPORT)):
            # Not editable: its size is measured, and nobody's edits get into the middle of a run.
            _pip(python, "--no-deps", "--force-reinstall", str(ROOT))
        return python

    def _site_packages(self, name: str) -> Path:
        (found,) = {path.resolve() for path in (self.folder / name).rglob("site-packages")}
        return found


class Here(Environments):
    """Environments that are all the running Python."""

    def make(self, name: str) -> Path:  # noqa: ARG002
        """The running Python."""
        return Path(sys.executable)

    def versions(self, name: str) -> dict[str, str]:  # noqa: ARG002
        """Package names and versions."""
        return {
            found.name.lower().replace("-", "_"): found.version
            for found in importlib.metadata.distributions()
        }


def _pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _output([*command, *arguments], os.environ)


def _output(
    command: Sequence[str], variables: Mapping[str, str], seconds: float | None = None
) -> str:
    """A command's standard output; where it fails, its errors are shown and the reason raised."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=dict(variables),
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"took longer than {seconds:.0f} s") from error
    if done.returncode == 0:
        return done.stdout
    note(done.stderr)
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    # pip's first one says what is missing; a traceback's last line is its exception.
    reasons = [line for line in lines if line.startswith("ERROR: ")] or lines[-1:]
    # What was killed says nothing of it.
    killed = done.returncode < 0 or not reasons
    raise UnavailableError(ended(done.returncode) if killed else reasons[0])


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:
        yield from (each for each in path.rglob("*") if each.is_file() and not each.is_symlink())


def note(text: str) -> None:
    """Progress, on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
