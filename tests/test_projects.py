"""The metadata of the distributions, and the fragments of their changelog."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import resift

ROOT = Path(__file__).parents[1]
ADAPTERS = sorted(path.parent for path in ROOT.glob("integrations/*/pyproject.toml"))


def content(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


ENGINE = content(ROOT)
MODELS = sorted(path.parent for path in ROOT.glob("models/*/pyproject.toml"))
each_model = pytest.mark.parametrize("folder", MODELS, ids=lambda folder: folder.name)
each_adapter = pytest.mark.parametrize("folder", ADAPTERS, ids=lambda folder: folder.name)


@each_adapter
def test_adapters_take_the_minor_version_of_their_engine(folder: Path) -> None:
    (engine,) = (
        each
        for each in map(Requirement, content(folder)["project"]["dependencies"])
        if each.name == "resift"
    )
    major, minor, *_ = Version(resift.__version__).release
    assert resift.__version__ in engine.specifier
    assert f"{major}.{minor}.999" in engine.specifier
    for other in (f"{major}.{minor + 1}", f"{major}.{minor + 1}a1", f"{major + 1}.0"):
        assert not engine.specifier.contains(other, prereleases=True), other
    if minor:
        assert f"{major}.{minor - 1}.999" not in engine.specifier


@each_adapter
def test_adapters_share_the_engines_metadata(folder: Path) -> None:
    project = content(folder)["project"]
    for key in ("classifiers", "requires-python", "urls", "license", "authors"):
        assert project[key] == ENGINE["project"][key], key


@each_model
def test_models_have_a_name_a_revision_and_an_extra(folder: Path) -> None:
    project, name = content(folder)["project"], folder.name
    package = name.replace("-", "_")
    assert project["name"] == name
    assert project["entry-points"] == {"resift.models": {name: package}}
    for key in ("requires-python", "authors"):
        assert project[key] == ENGINE["project"][key], key
    model = folder / "src" / package / name
    card = json.loads((model / "card.json").read_text(encoding="utf-8"))
    assert (card["name"], card["revision"]) == (name, project["version"])
    assert card["license"] == project["license"]
    # It is data alone.
    assert (folder / "src" / package / "__init__.py").read_bytes() == b""
    (extra,) = ENGINE["project"]["optional-dependencies"][name.removeprefix("resift-")]
    assert Requirement(extra).name == name
    assert project["version"] in Requirement(extra).specifier
    (engine,) = map(Requirement, project["dependencies"])
    assert (engine.name, resift.__version__ in engine.specifier) == ("resift", True)


def test_classifiers_name_the_systems_that_were_tested() -> None:
    page = (ROOT / "docs/platforms.md").read_text(encoding="utf-8")
    classifiers = ENGINE["project"]["classifiers"]
    section = page.partition("## Python\n")[2].partition("\nTypes")[0]
    rows = re.findall(r"^\| (3\.\d+) \|.*\| (\w+)[^|]* \|$", section, flags=re.MULTILINE)
    assert len(rows) == len(re.findall(r"^\| 3\.", section, flags=re.MULTILINE)) > 2
    named = {each for each in classifiers if re.search(r":: 3\.\d+$", each)}
    assert named == {
        f"Programming Language :: Python :: {version}" for version, how in rows if how == "run"
    }
    systems = {"macOS": "MacOS", "Windows": "Microsoft", "Linux, glibc": "Linux"}
    for row, classifier in systems.items():
        how = re.findall(rf"^\| {row}.*\| (\w+)[^|]* \|$", page, flags=re.MULTILINE)
        says = any(classifier in each for each in classifiers if each.startswith("Operating"))
        assert says == ("run" in how), row


def test_fragments_are_of_a_known_type() -> None:
    types = {each["directory"] for each in ENGINE["tool"]["towncrier"]["type"]}
    for path in (ROOT / "changelog.d").iterdir():
        if path.name == "README.md":
            continue
        name = re.fullmatch(r"(\d+|\+[\w-]+)\.(\w+)\.md", path.name)
        assert name, f"{path.name}: see changelog.d/README.md"
        assert name[2] in types, path.name
        text = path.read_text(encoding="utf-8").strip()
        assert text, path.name
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (ROOT / target).exists(), f"{path.name}: {target}"
