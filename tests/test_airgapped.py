"""The steps of examples/airgapped/Dockerfile, without Docker and without a network."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from email.parser import HeaderParser
from importlib.metadata import distribution
from pathlib import Path

import pytest
from dockerfiles import instructions
from packaging.requirements import Requirement

from resift.cli.main import _parser

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples/airgapped"
STEPS = instructions(FOLDER / "Dockerfile")


def given(name: str) -> list[str]:
    return [rest for each, rest in STEPS if each == name]


def test_nothing_is_downloaded_and_nothing_runs_as_root() -> None:
    (install,) = [each for each in given("RUN") if "pip install" in each]
    assert {"--no-index", "--find-links=/wheels"} <= set(shlex.split(install))
    assert "://" not in str(STEPS)
    for copied in given("COPY"):
        assert (FOLDER / copied.split()[0]).exists()
    names = [name for name, _ in STEPS]
    (user,) = given("USER")
    assert all(int(each) > 0 for each in user.split(":"))
    # The self-test, and the program, are that user's.
    assert names[names.index("USER") + 1 :] == ["RUN", "ENTRYPOINT"]
    program, *first = json.loads(given("ENTRYPOINT")[0])
    parsed = _parser().parse_args([*first, "query", "text"])
    assert program == "resift"
    assert parsed.offline


# What may only fail: each takes the place of what the self-test guards against.
@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "refused: socket."),
        ("open('written', 'w', encoding='utf-8')", "refused: open"),
        ("DOCUMENTS.reverse()", "resift-small"),
        ("", "resift-nano on onnx: complete"),
    ],
)
def test_the_self_test_fails_where_it_should(before: str, said: str, tmp_path: Path) -> None:
    source = (FOLDER / "selftest.py").read_text(encoding="utf-8")
    # After the guard, as what a model's loading might do.
    changed = source.replace("    failed = 0\n", f"    failed = 0\n    {before or 'pass'}\n")
    assert changed != source
    if "reverse" in before:
        changed = changed.replace("DOCUMENTS.reverse()", "DOCUMENTS[1] = 'It is a shop.'")
    (tmp_path / "selftest.py").write_text(changed, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "selftest.py"], cwd=tmp_path, capture_output=True, encoding="utf-8"
    )
    assert said in done.stdout + done.stderr
    assert done.returncode == bool(before), done.stderr


def repacked(name: str, folder: Path) -> None:
    """The wheel of what is installed, so that no network is needed."""
    found = distribution(name)
    (path,) = [each for each in found.files or () if each.name == "WHEEL"]
    about = HeaderParser().parsestr(path.read_text(encoding="utf-8"))
    # One name for all tags, such as py2.py3-none-any.
    columns = zip(*(tag.split("-") for tag in about.get_all("Tag") or ()), strict=True)
    tags = "-".join(".".join(dict.fromkeys(each)) for each in columns)
    stem = f"{re.sub('[-.]+', '_', found.name)}-{found.version}-{tags}"
    with zipfile.ZipFile(folder / f"{stem}.whl", "w") as wheel:
        for file in found.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                wheel.write(str(file.locate()), str(file))


def needed(requirements: list[str], found: set[str]) -> set[str]:
    """Add the names of what is required here, and of what that requires."""
    for each in map(Requirement, requirements):
        applies = each.marker is None or each.marker.evaluate({"extra": ""})
        if applies and each.name not in found:
            found.add(each.name)
            needed(list(distribution(each.name).requires or ()), found)
    return found


def fill(folder: Path, environment: Mapping[str, str]) -> None:
    """Fill the folder as README.md does, from this machine."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    subprocess.run(
        [*command, "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)],
        check=True,
        env=environment,
    )
    (wheel,) = folder.iterdir()
    with zipfile.ZipFile(wheel) as opened:
        (path,) = [each for each in opened.namelist() if each.endswith(".dist-info/METADATA")]
        about = HeaderParser().parsestr(opened.read(path).decode())
    for name in needed(about.get_all("Requires-Dist") or [], set()):
        repacked(name, folder)


def without_a_network() -> list[str]:
    """The command before a command that has none, where this machine allows it."""
    unshare = shutil.which("unshare")
    command = [unshare or "false", "--map-root-user", "--net"]
    allowed = subprocess.run([*command, "true"], capture_output=True).returncode == 0
    # Elsewhere, tests/loopback refuses what the steps would connect to.
    return command if allowed else []


def files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.slow
def test_the_steps_install_and_rank(tmp_path: Path) -> None:
    image, wheels, home = tmp_path / "image", tmp_path / "wheels", tmp_path / "home"
    for each in (image / "opt", wheels, home):
        each.mkdir(parents=True)
    guard = str(ROOT / "tests/loopback")
    # Without this machine's own places of wheels.
    environment = {key: each for key, each in os.environ.items() if not key.startswith("PIP_")}
    environment |= {"PYTHONPATH": guard, "HOME": str(home), "PIP_CONFIG_FILE": os.devnull}
    fill(wheels, environment)

    def placed(text: str) -> str:
        return text.replace("/wheels", str(wheels)).replace("/opt/", f"{image}/opt/")

    alone = without_a_network()
    for name, rest in STEPS:
        if name == "RUN":
            words = [each for each in shlex.split(placed(rest)) if not each.startswith("--mount=")]
            words[0] = sys.executable if words[0] == "python" else words[0]
            subprocess.run([*alone, *words], check=True, env=environment, cwd=tmp_path)
        elif name == "COPY":
            source, target = rest.split()
            shutil.copy(FOLDER / source, placed(target))
        elif name == "ENV":
            for key, _, value in (each.partition("=") for each in shlex.split(rest)):
                environment[key] = placed(value).replace("$PATH", os.environ["PATH"])
    before = files(tmp_path)
    done = subprocess.run(
        [*alone, *json.loads(given("ENTRYPOINT")[0]), "how do I sort", "Use sorted.", "Closed."],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"(?m)^ +1 .* Use sorted\.$", done.stdout), done.stdout
    assert files(tmp_path) == before
