"""The project's commands, for any platform with Python 3.11 and pip.

    python dev.py demo             rerank real documents through all three frameworks
    python dev.py test             check style and types, and run every test but the slow ones
    python dev.py test -- --slow   those, too
    python dev.py test --oldest    the tests on the oldest dependencies that we declare
    python dev.py test --parity    the tests that compare with torch, and nothing else

Each installs what it needs into the virtual environment that is active, or else into one of its
own, ``.venv``. Arguments after ``--`` go to pytest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent
INTEGRATIONS = [
    "integrations/langchain-resift",
    "integrations/llama-index-postprocessor-resift",
    "integrations/resift-haystack",
]


def main() -> int:
    """Run one command; returns its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo")
    test = commands.add_parser("test")
    which = test.add_mutually_exclusive_group()
    which.add_argument("--oldest", action="store_true")
    which.add_argument("--parity", action="store_true")
    test.add_argument("pytest", nargs="*")
    parsed = parser.parse_args()
    os.chdir(ROOT)
    try:
        if parsed.command == "demo":
            demo()
        elif parsed.parity:
            parity(parsed.pytest)
        elif parsed.oldest:
            oldest(parsed.pytest)
        else:
            test_all(parsed.pytest)
    except subprocess.CalledProcessError as error:
        return int(error.returncode)
    return 0


def demo() -> None:
    """The main job."""
    python = environment()
    install(python, [".", *INTEGRATIONS])
    run(python, "examples/python_docs.py")


def test_all(arguments: Sequence[str]) -> None:
    """Style, types and tests, on the newest dependencies."""
    python = environment()
    with ThreadPoolExecutor() as pool:
        pinned = pool.submit(types_environment)
        install(python, [f"{path}[test]" for path in (".", *INTEGRATIONS)])
        run(python, "-m", "ruff", "check", "--quiet")
        run(python, "-m", "ruff", "format", "--check", "--quiet")
        # Beside the tests: neither keeps two cores busy.
        types = pool.submit(check_types, python, pinned.result())
        try:
            run(python, "-m", "pytest", *arguments)
        finally:
            passes = types.result()
            sys.stdout.write("".join(each.stdout for each in passes))
        for each in passes:
            each.check_returncode()


def types_environment() -> str:
    """The Python that checks types, with what ``tests/types.txt`` pins."""
    python = environment(".venv-types")
    pip(python, "--requirement", "tests/types.txt")
    return python


def check_types(python: str, pinned: str) -> list[subprocess.CompletedProcess[str]]:
    """Types, against the pinned stubs and, for the rest, what is installed; what mypy says.

    Whatever numpy resolves to on another Python or another day has other stubs.
    """
    # Behind the pinned ones, and written when pip is done: it would take them for its own.
    installed, layered = (Path(site_packages(each)) for each in (python, pinned))
    line = f"import site; site.addsitedir({str(installed)!r})\n"
    (layered / "installed.pth").write_text(line, encoding="utf-8")
    sources = [f"{path}/src" for path in INTEGRATIONS]
    passes = [
        ["src", "tests", "examples", "benchmarks", "dev.py", *sources],
        # Each by itself, as they have modules of the same name.
        *(["conftest.py"], *([f"{path}/tests"] for path in INTEGRATIONS)),
    ]
    return [
        subprocess.run([pinned, "-m", "mypy", *paths], stdout=subprocess.PIPE, encoding="utf-8")
        for paths in passes
    ]


def site_packages(python: str) -> str:
    """Where a Python keeps what pip installs."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run(
        [python, "-c", code], check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    return done.stdout.strip()


def oldest(arguments: Sequence[str]) -> None:
    """The tests, on the oldest dependencies."""
    python = environment(".venv-oldest")
    packages = [f"{path}[test]" for path in (".", *INTEGRATIONS)]
    install(python, packages, "--constraint", "tests/oldest.txt")
    run(python, "-m", "pytest", *arguments)


def parity(arguments: Sequence[str]) -> None:
    """The tests against reference implementations."""
    python = environment(".venv-parity")
    # By itself and first: anything that asks for torch without a pin gets gigabytes of CUDA.
    pip(python, "--requirement", "tests/torch.txt")
    install(python, [".[test,parity]"])
    run(python, "-m", "pytest", "tests/parity", *arguments)


def environment(folder: str | None = None) -> str:
    """The Python of a virtual environment: of the active one unless a folder is named."""
    if folder is None and sys.prefix != sys.base_prefix:
        return sys.executable
    home = ROOT / (folder or ".venv")
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        venv.create(home, with_pip=True)
    return str(python)


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


if __name__ == "__main__":
    sys.exit(main())
