"""Conventions that no linter knows: one version, named encodings, docstrings' first words."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from sources import ENGINE, INTEGRATIONS, MODULES, ROOT

import resift


@pytest.mark.parametrize("module", [each for each in MODULES if each.stem == "__init__"], ids=str)
def test_an_init_only_imports_and_exports(module: Path) -> None:
    for node in ast.parse((ENGINE / module).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            assert {ast.unparse(each) for each in node.targets} <= {"__all__", "__version__"}
        else:
            is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            assert is_docstring or isinstance(node, ast.ImportFrom)


@pytest.mark.parametrize("folder", INTEGRATIONS, ids=lambda folder: folder.name)
def test_every_package_has_one_version_and_one_licence(folder: Path) -> None:
    content = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in content["project"]["dynamic"]
    source = folder / content["tool"]["hatch"]["version"]["path"]
    assert source.resolve() == (ENGINE / "__init__.py").resolve()
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert resift.__version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_namespaces_have_no_init() -> None:
    for folder in INTEGRATIONS:
        for path in (folder / "src").rglob("py.typed"):
            assert (path.parent / "__init__.py").is_file()
            for parent in path.parent.parents:
                if parent == folder / "src":
                    break
                assert not (parent / "__init__.py").exists(), parent


def unencoded(path: Path) -> Iterator[str]:
    """Calls that read or write text in whatever encoding the locale has."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        given = {keyword.arg for keyword in node.keywords}
        # Of the function open, the first argument is a path.
        modes = node.args[isinstance(node.func, ast.Name) :] or [ast.Constant("r")]
        opens_text = isinstance(modes[0], ast.Constant) and "b" not in str(modes[0].value)
        if "encoding" not in given and (
            name in {"read_text", "write_text"}
            or (name in {"run", "Popen", "check_output"} and "text" in given)
            or (name == "open" and opens_text)
        ):
            yield f"{path.name}:{node.lineno}"


def test_text_is_read_and_written_with_a_named_encoding() -> None:
    ours = [ROOT / "conftest.py", ROOT / "dev.py"]
    for folder in ("src", "tests", "benchmarks", "examples", "integrations", "tools", "training"):
        ours += (ROOT / folder).rglob("*.py")
    assert not [each for path in ours for each in unencoded(path)]


def test_public_names_are_sorted_and_exist() -> None:
    assert resift.__all__ == sorted(resift.__all__)
    for name in resift.__all__:
        assert hasattr(resift, name)


def test_the_error_tree_equals_the_drawing() -> None:
    import resift.errors

    drawn = set(re.findall(r"[├└]── (\w+)", resift.errors.__doc__ or ""))
    defined = {
        name
        for name, thing in vars(resift.errors).items()
        if isinstance(thing, type) and issubclass(thing, resift.ResiftError)
    }
    assert drawn | {"ResiftError"} == defined <= set(resift.__all__)


# Words that leave out the subject: in an editor's hover, "Of a file's content" says nothing.
SUBJECTLESS = re.compile(
    "As|At|Behind|By|For|From|How|In|Its?|O[fn]|Raises|Said|That|Their|They|Those|To|What|Whatever|"
    "When|Where|Who|Whoever|Whose|With|Without"
)


def first_words(path: Path) -> Iterator[tuple[int, str]]:
    """The line and the first word of each docstring of a module, class or function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node)
            if text is not None:
                yield node.body[0].lineno, text.split()[0].strip(",.:;")


def test_docstrings_begin_with_a_verb_or_their_noun() -> None:
    ours = [ENGINE, *(folder / "src" for folder in INTEGRATIONS), ROOT / "tests"]
    assert not [
        f"{path.relative_to(ROOT)}:{line} begins with {word}"
        for folder in ours
        for path in folder.rglob("*.py")
        for line, word in first_words(path)
        if SUBJECTLESS.fullmatch(word)
    ]
