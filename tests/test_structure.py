"""The walls of the house: who may import whom, one version, and what must not be there."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import resift

ROOT = Path(__file__).parent.parent
ENGINE = ROOT / "src/resift"
INTEGRATIONS = sorted((ROOT / "integrations").iterdir())
MODULES = sorted(path.relative_to(ENGINE) for path in ENGINE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def top(name: str) -> str:
    return name.split(".")[0]


# Which packages beyond the standard library and numpy a module of the engine may import.
ALLOWED = {
    "tokenization.py": {"tokenizers"},
    "backends/flag_embedding.py": {"transformers"},
    "backends/openvino.py": {"openvino"},
    "models/cache.py": {"filelock"},
    "models/downloads.py": {"huggingface_hub"},
    "backends/torch/__init__.py": {"torch"},
    "backends/torch/checkpoint.py": {"torch", "transformers"},
    "backends/torch/device.py": {"torch"},
    "backends/torch/late_interaction.py": {"onnx", "torch", "transformers"},
    "backends/torch/network.py": {"torch"},
    "backends/torch/packing.py": {"torch", "transformers"},
    "models/hub.py": {"huggingface_hub"},
    "cli.py": {"tqdm"},
    **{
        f"testing/{name}.py": {"pytest", "hypothesis"}
        for name in (
            "adapters",
            "calls",
            "contract",
            "inputs",
            "late_interaction",
            "options",
            "pydantic_adapters",
            "scores",
            "texts",
        )
    },
}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_the_engine_imports_only_what_it_needs(module: Path) -> None:
    allowed = {"resift", "numpy", *sys.stdlib_module_names} | ALLOWED.get(str(module), set())
    assert {top(name) for name in imports(ENGINE / module)} <= allowed


@pytest.mark.parametrize(
    ("room", "stranger"),
    [
        ("families", "resift.backends"),
        ("backends", "resift.families"),
        ("backends", "resift.models"),
        ("models", "resift.backends"),
        ("models", "resift.families"),
        ("families", "resift.models"),
        ("models", "resift.machine"),
        ("models", "resift.plan"),
        ("backends", "resift.machine"),
    ],
)
def test_rooms_do_not_know_each_other(room: str, stranger: str) -> None:
    for path in (ENGINE / room).rglob("*.py"):
        assert not [name for name in imports(path) if name.startswith(stranger)], path


def test_making_models_knows_nothing_of_measuring_them() -> None:
    make, measure = (ROOT / "training" / folder for folder in ("make", "measure"))
    made, measuring = ({path.stem for path in each.glob("*.py")} for each in (make, measure))
    assert not made & measuring
    for path in make.glob("*.py"):
        assert not measuring & {top(name) for name in imports(path)}, path
    for path in measure.glob("*.py"):
        assert path.stem == "made" or not made & {top(name) for name in imports(path)}, path


def test_pure_modules_know_nothing() -> None:
    assert {top(name) for name in imports(ENGINE / "batching.py")} <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("folder", INTEGRATIONS, ids=lambda folder: folder.name)
def test_adapters_import_their_framework_and_the_engine(folder: Path) -> None:
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[><=\[ ]", dependency)[0] for dependency in project["dependencies"]}
    frameworks = {
        "haystack-ai": {"haystack", "haystack_integrations"},
        "langchain-core": {"langchain_core", "langchain_resift"},
        "llama-index-core": {"llama_index"},
    }
    allowed = {"resift", *sys.stdlib_module_names}
    for name in declared:
        allowed |= frameworks.get(name, {name})
    for path in (folder / "src").rglob("*.py"):
        assert {top(name) for name in imports(path)} <= allowed, path


@pytest.mark.parametrize("folder", INTEGRATIONS, ids=lambda folder: folder.name)
def test_one_version_and_one_licence(folder: Path) -> None:
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


def test_text_has_an_encoding() -> None:
    ours = [ROOT / "conftest.py", ROOT / "dev.py"]
    for folder in ("src", "tests", "benchmarks", "examples", "integrations", "tools", "training"):
        ours += (ROOT / folder).rglob("*.py")
    assert not [each for path in ours for each in unencoded(path)]


def test_public_names_are_sorted_and_there() -> None:
    assert resift.__all__ == sorted(resift.__all__)
    for name in resift.__all__:
        assert hasattr(resift, name)


def test_the_error_tree_is_the_drawn_one() -> None:
    import resift.errors

    drawn = set(re.findall(r"[├└]── (\w+)", resift.errors.__doc__ or ""))
    defined = {
        name
        for name, thing in vars(resift.errors).items()
        if isinstance(thing, type) and issubclass(thing, resift.ResiftError)
    }
    assert drawn | {"ResiftError"} == defined <= set(resift.__all__)
