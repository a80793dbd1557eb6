"""The table of public modules and names, which everything outside them keeps to."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import griffe
import pytest
from markdown_it import MarkdownIt
from public import PUBLIC

ROOT = Path(__file__).parents[1]
SOURCES = [ROOT / "src", *sorted(ROOT.glob("integrations/*/src"))]
USERS = [
    *sorted(ROOT.glob("integrations/*/src/**/*.py")),
    *sorted(ROOT.glob("examples/**/*.py")),
]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("integrations/*/README.md")),
    ROOT / "examples/README.md",
    *sorted(ROOT.glob("examples/*/README.md")),
    *sorted(ROOT.glob("src/resift/bundled/*/README.md")),
]
# A new option is an edit of resift itself.
INSIDE = {"docs/extending.md": {"resift.checks", "resift.declaring", "resift.options"}}


NAMES = [(module, name) for module, names in PUBLIC.items() for name in names]


@pytest.fixture(scope="session")
def described() -> griffe.ModulesCollection:
    """Load what the sources say, for all packages that public modules are in."""
    loader = griffe.GriffeLoader(search_paths=SOURCES)
    for module in PUBLIC:
        loader.load(module)
    loader.resolve_aliases(external=False)
    return loader.modules_collection


def test_the_table_is_read() -> None:
    assert {"resift", "resift.errors", "resift.testing"} < set(PUBLIC)
    assert len(NAMES) > 50


@pytest.mark.parametrize("module", PUBLIC)
def test_a_module_has_these_names_and_a_docstring(module: str) -> None:
    if module.startswith("resift_ray"):
        # It has no release for some machines.
        pytest.importorskip("ray")
    found = import_module(module)
    assert found.__doc__
    assert sorted(found.__all__) == sorted(PUBLIC[module])
    for name in PUBLIC[module]:
        assert hasattr(found, name), name


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[".".join(each) for each in NAMES])
def test_a_name_is_described_and_typed(
    module: str, name: str, described: griffe.ModulesCollection
) -> None:
    found = described[module][name]
    if name != "__version__":
        assert found.docstring, "expected a docstring"
    target = found.final_target if found.is_alias else found
    functions = [target] if target.is_function else []
    if target.is_class:
        # The tests of a suite say it with their names.
        # The tests of a suite say it with their names, and Python says what __eq__ does.
        functions = [
            each
            for name, each in target.members.items()
            if each.is_function and not name.startswith(("_", "test_"))
        ]
        for each in functions:
            assert each.docstring, f"{each.path}: expected a docstring"
    for each in functions:
        untyped = [
            parameter.name
            for parameter in each.parameters
            if parameter.annotation is None and parameter.name not in ("self", "cls")
        ]
        assert untyped == [], each.path
        assert each.returns is not None, each.path


def private(source: str, allowed: set[str]) -> list[str]:
    """Names that code imports of the engine and that are not public."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            taken = [(each.name, "") for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            taken = [(node.module or "", each.name) for each in node.names]
        else:
            continue
        for module, name in taken:
            path = f"{module}.{name}".rstrip(".")
            is_public = path in PUBLIC or name in PUBLIC.get(module, ())
            if module.partition(".")[0] == "resift" and module not in allowed and not is_public:
                found.append(path)
    return found


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", USERS, ids=_name)
def test_adapters_and_examples_import_what_is_public(path: Path) -> None:
    assert private(path.read_text(encoding="utf-8"), set()) == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_pages_import_what_is_public(page: Path) -> None:
    allowed = INSIDE.get(_name(page), set())
    code = [
        token.content
        for token in MarkdownIt().parse(page.read_text(encoding="utf-8"))
        if token.type == "fence" and token.info == "python"
    ]
    assert [each for block in code for each in private(block, allowed)] == []


def test_what_is_private_is_seen() -> None:
    assert private("import resift.options", set()) == ["resift.options"]
    assert private("from resift import Reranker, reranker", set()) == ["resift.reranker"]
    within = "def f():\n    from resift.text.batch import Batch"
    assert private(within, set()) == ["resift.text.batch.Batch"]
    assert private("from resift import errors", set()) == []
    assert private("from resift.errors import Sequence", set()) == ["resift.errors.Sequence"]


def test_the_reference_has_a_page_for_each_module() -> None:
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    section = settings.partition("  reference:\n")[2].partition("\n\n")[0]
    assert re.findall(r"^    - ([\w.]+)$", section, flags=re.MULTILINE) == list(PUBLIC)
