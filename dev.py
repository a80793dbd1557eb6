"""The project's commands, for any platform with Python 3.11 and pip.

    python dev.py demo             rerank real documents through all three frameworks
    python dev.py test             check style and types, and run every test but the slow ones
    python dev.py test -- --slow   those, too
    python dev.py test --coverage  the tests, and how much of our code they run
    python dev.py test --oldest    the tests on the oldest dependencies that we declare
    python dev.py test --parity    the tests that compare or train with torch, and nothing else
    python dev.py check            style and types, without the tests
    python dev.py docs             the site, in ``site/``
    python dev.py release          build every distribution, check them, and rank with them

Each installs what it needs into the virtual environment that is active, or else into one of its
own, ``.venv``. With ``--wheels``, ``demo`` and ``test`` build our distributions and install those,
into an environment that is made anew. Arguments after ``--`` go to pytest.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tools.environments import (
    DISTRIBUTIONS,
    INTEGRATIONS,
    ROOT,
    environment,
    install,
    installable,
    kept_environment,
    pip,
    requirements,
    run,
    site_packages,
)

CLIENTS = Path("tests/clients")
"""Where each file of requirements is an environment of clients that agree on one."""
BESIDE = ["tests/test_surroundings.py", "integrations/resift-ray/tests"]
"""Tests that take minutes, on one processor or waiting for Ray: run beside all others."""
STORES = Path("examples/stores/requirements")
"""Where each file of requirements is a store's; all agree on one environment."""
TRITON = Path("tests/triton_server")
"""Where the requirements are of a real Triton server, as slow tests start one."""


def main() -> int:
    """Run one command; returns its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    demonstrated = commands.add_parser("demo")
    test = commands.add_parser("test")
    which = test.add_mutually_exclusive_group()
    for option in ("coverage", "oldest", "parity"):
        which.add_argument(f"--{option}", action="store_true")
    for command in (demonstrated, which):
        command.add_argument("--wheels", action="store_true")
    test.add_argument("pytest", nargs="*")
    for name in ("check", "docs"):
        commands.add_parser(name)
    commands.add_parser("release").add_argument("--tag", help="refuse any version but this one's")
    parsed = parser.parse_args()
    os.chdir(ROOT)
    try:
        if parsed.command == "demo":
            demo(wheels=parsed.wheels)
        elif parsed.command == "check":
            check()
        elif parsed.command == "docs":
            docs()
        elif parsed.command == "release":
            release(parsed.tag)
        elif parsed.parity:
            parity(parsed.pytest)
        elif parsed.oldest:
            oldest(parsed.pytest)
        else:
            test_all(parsed.pytest, wheels=parsed.wheels, coverage=parsed.coverage)
    except subprocess.CalledProcessError as error:
        return int(error.returncode)
    return 0


def demo(*, wheels: bool) -> None:
    """The main job."""
    run(prepare(wheels=wheels), "examples/python_docs.py")


def test_all(arguments: Sequence[str], *, wheels: bool, coverage: bool) -> None:
    """Style, types and tests, on the newest dependencies."""
    with ThreadPoolExecutor() as pool:
        pinned = pool.submit(types_environment)
        made = [
            pool.submit(kept_environment, f".venv-clients-{path.stem}", path)
            for path in sorted(CLIENTS.glob("*.txt"))
        ]
        # Large, and for slow tests alone.
        if "--slow" in arguments and "--ignore=tests/stores" not in arguments:
            made.append(
                pool.submit(kept_environment, ".venv-stores", *sorted(STORES.glob("*.txt")))
            )
        if "--slow" in arguments:
            needed, alone = TRITON / "requirements.txt", TRITON / "alone.txt"
            made.append(pool.submit(kept_environment, ".venv-triton", needed, alone=alone))
        python = prepare("test", wheels=wheels)
        check_style(python)
        for each in made:
            each.result()
        # Beside the tests: neither keeps two cores busy.
        types = pool.submit(check_types, python, pinned.result())
        beside: list[Future[None]] = []
        if is_everything(arguments) and not coverage:
            beside.append(pool.submit(run, python, "-m", "pytest", *arguments, *BESIDE))
            arguments = [*arguments, *(f"--ignore={each}" for each in BESIDE)]
        try:
            if coverage:
                measure_coverage(python, arguments)
            else:
                run(python, "-m", "pytest", *arguments)
        finally:
            report_types(types.result())
        for each in beside:
            each.result()


def is_everything(arguments: Sequence[str]) -> bool:
    """Whether pytest's arguments ask for slow tests too, and for no files in particular."""
    files = (Path(each.partition("::")[0]).exists() for each in arguments)
    return "--slow" in arguments and not any(files)


def measure_coverage(python: str, arguments: Sequence[str]) -> None:
    """Run the tests and report the branches they take; below the floor, that is a failure."""
    run(python, "-m", "coverage", "erase")
    run(python, "-m", "coverage", "run", "-m", "pytest", *arguments)
    run(python, "-m", "coverage", "combine", "--quiet")
    run(python, "-m", "coverage", "report")


def check() -> None:
    """Style and types."""
    python = prepare("test")
    check_style(python)
    report_types(check_types(python, types_environment()))


def check_style(python: str) -> None:
    """Style and format."""
    run(python, "-m", "ruff", "check", "--quiet")
    run(python, "-m", "ruff", "format", "--check", "--quiet")


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
        ["src", "tests", "examples", "benchmarks", "tools", "training", "dev.py", *sources],
        # Each by itself, as they have modules of the same name.
        *(["conftest.py"], *([f"{path}/tests"] for path in INTEGRATIONS)),
    ]
    return [
        subprocess.run([pinned, "-m", "mypy", *paths], stdout=subprocess.PIPE, encoding="utf-8")
        for paths in passes
    ]


def report_types(passes: Sequence[subprocess.CompletedProcess[str]]) -> None:
    """What mypy said; raises ``CalledProcessError`` where it found something."""
    sys.stdout.write("".join(each.stdout for each in passes))
    for each in passes:
        each.check_returncode()


def oldest(arguments: Sequence[str]) -> None:
    """The tests, on the oldest dependencies."""
    python = environment(".venv-oldest")
    folders = installable(python)
    install(python, folders, "--constraint", "tests/oldest.txt", *requirements("test"))
    # What is old warns of what is new.
    run(python, "-m", "pytest", "-W", "default", *arguments)


def parity(arguments: Sequence[str]) -> None:
    """The tests against reference implementations."""
    python = environment(".venv-parity")
    # By itself and first: anything that asks for torch without a pin gets gigabytes of CUDA.
    pip(python, "--requirement", "tests/torch.txt")
    engine = ["."]
    needed = (*requirements("test", engine), *requirements("parity", engine))
    install(python, engine, *needed)
    run(python, "-m", "pytest", "tests/parity", "training/tests", *arguments)


def docs() -> None:
    """The site."""
    run(prepare("docs"), "-X", "utf8", "-m", "mkdocs", "build", "--strict")


def release(tag: str | None) -> None:
    """Build every distribution and check what is in it; then install them alone, and rank."""
    files = [str(path) for path in build()]
    version = files[0].split("-")[1]
    if tag not in (None, f"v{version}"):
        sys.exit(
            f"the tag is {tag}, and the version {version}: tag v{version}, or change the version"
        )
    tools = environment(".venv-release")
    run(tools, "-m", "twine", "check", "--strict", *files)
    run(tools, "tools/check_wheels.py", *files)
    run(tools, "-m", "towncrier", "build", "--draft", "--version", version)
    python = environment(".venv-wheels", clear=True)
    pip(python, *(file for file in files if file.endswith(".whl")))
    run(python, "-m", "pip", "check")
    run(python, "examples/python_docs.py")


def build() -> list[Path]:
    """Every distribution in ``dist/``: the source, and from that the wheel."""
    python = environment(".venv-release")
    pip(python, *requirements("release"))
    shutil.rmtree("dist", ignore_errors=True)
    for folder in DISTRIBUTIONS:
        run(python, "-m", "build", "--outdir", "dist", folder)
    return sorted(Path("dist").iterdir())


def prepare(*groups: str, wheels: bool = False) -> str:
    """The Python of an environment with our distributions and their groups of requirements."""
    needed = [requirement for name in groups for requirement in requirements(name)]
    if wheels:
        built = [path for path in build() if path.suffix == ".whl"]
        python = environment(".venv-wheels", clear=True)
        rest = set(DISTRIBUTIONS) - set(installable(python))
        names = tuple(Path(each).name.replace("-", "_") for each in rest)
        pip(python, *(str(path) for path in built if not path.name.startswith(names)), *needed)
    else:
        python = environment()
        install(python, installable(python), *needed)
    return python


if __name__ == "__main__":
    sys.exit(main())
