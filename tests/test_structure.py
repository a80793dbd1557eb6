"""The structure of the source: layers of imports, and sizes."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from sources import ENGINE, INTEGRATIONS, MODULES, ROOT


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
    "text/template.py": {"tokenizers"},
    "text/tokenizer.py": {"tokenizers"},
    "backends/flag_embedding.py": {"transformers"},
    "backends/openvino.py": {"openvino"},
    "datasets/arrow.py": {"pyarrow"},
    "datasets/inputs.py": {"pyarrow"},
    "models/store/cache.py": {"filelock"},
    "models/store/downloads.py": {"huggingface_hub"},
    "models/sources/flashrank.py": {"huggingface_hub"},
    "backends/torch/backend.py": {"torch"},
    "backends/torch/checkpoint.py": {"torch", "transformers"},
    "backends/torch/device.py": {"torch"},
    "backends/torch/late_interaction.py": {"onnx", "torch", "transformers"},
    "backends/torch/network.py": {"torch"},
    "backends/torch/packing.py": {"torch", "transformers"},
    "models/sources/hub.py": {"huggingface_hub"},
    "export/triton/model.py": {"triton_python_backend_utils"},
    "cli/evaluate.py": {"tqdm"},
    "cli/rank.py": {"tqdm"},
    "cli/rerank_dataset.py": {"tqdm", "resift_ray"},
    "scoring/remote/scorer.py": {"httpx"},
    "scoring/remote/server.py": {"httpx", "tenacity"},
    "scoring/remote/settings.py": {"httpx"},
    "trials/agreement.py": {"scipy"},
    "trials/measuring.py": {"ir_measures"},
    "reports/plots.py": {"matplotlib"},
    "trials/stability.py": {"scipy"},
    "server/metrics.py": {"prometheus_client"},
    "server/run.py": {"uvicorn"},
    "server/tracing.py": {"opentelemetry"},
    **{
        f"server/{name}.py": {"starlette"}
        for name in ("answering", "app", "endpoints", "observed", "pages", "reading")
    },
    **{
        f"testing/{name}.py": {"pytest", "hypothesis"}
        for name in (
            "adapters",
            "calls",
            "contract",
            "inputs",
            "late_interaction",
            "options",
            "parts",
            "pydantic_adapters",
            "scorers",
            "scores",
            "texts",
        )
    },
}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_the_engine_imports_only_what_it_needs(module: Path) -> None:
    allowed = {"resift", "numpy", *sys.stdlib_module_names} | ALLOWED.get(str(module), set())
    assert {top(name) for name in imports(ENGINE / module)} <= allowed


def dotted(module: Path) -> str:
    parts = ["resift", *module.with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {dotted(module): ENGINE / module for module in MODULES}


def internal(name: str) -> set[str]:
    """The modules of the engine that one imports, wherever in its code, save the root."""
    found = set()
    for node in ast.walk(ast.parse(NAMES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                each = f"{node.module}.{alias.name}"
                found.add(each if each in NAMES else node.module)
    return found.intersection(NAMES) - {"resift"}


IMPORTS = {name: internal(name) for name in NAMES}


def reached(name: str) -> set[str]:
    """All modules that importing one runs, without the root's own re-exports."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        for each in IMPORTS[waiting.pop()]:
            package = each.rpartition(".")[0]
            new = {each, *({package} - {"resift"})} - seen
            seen |= new
            waiting += new
    return seen - {name}


def within(name: str, room: str) -> bool:
    return name == f"resift.{room}" or name.startswith(f"resift.{room}.")


ROOMS = {module.parts[0].removesuffix(".py") for module in MODULES} - {"__init__"}
# Which rooms each may reach, by however many steps; the ground floor first.
BELOW: dict[str, set[str]] = {
    "declaring": set(),
    "errors": set(),
    "folders": set(),
    "once": set(),
    "precision": set(),
    "protocols": set(),
    "redaction": set(),
    "signatures": set(),
    "threads": {"once"},
    "checks": {"errors"},
    "files": {"errors"},
    "reports": {"errors"},
    "labelling": {"errors", "files"},
    "logistic": {"errors"},
    "calibrations": {"errors", "folders", "logistic"},
    "normalization": {"calibrations", "errors", "folders", "logistic"},
    "evaluation": {"calibrations", "errors", "folders", "logistic", "normalization"},
    "prior": {"calibrations", "errors", "evaluation", "folders", "logistic", "normalization"},
    "plugins": {"errors"},
    "request": {"errors"},
    "text": {"errors"},
    "backends": {"errors", "plugins", "precision", "text"},
    "families": {"errors", "plugins", "text"},
    "machine": {"backends", "errors", "plugins", "precision", "text"},
    "models": {"checks", "errors", "folders", "plugins", "precision", "redaction"},
}
BELOW["ranking"] = {"prior", *BELOW["prior"]}
BELOW["recording"] = {"checks", "ranking", "request", *BELOW["ranking"]}
BELOW["telemetry"] = {"ranking", *BELOW["ranking"]}
BELOW["options"] = {"checks", "declaring", "telemetry", "text", *BELOW["telemetry"]}
BELOW["keywords"] = {"options", *BELOW["options"]}
BELOW["given"] = {"options", *BELOW["options"]}
BELOW["call"] = {"options", *BELOW["options"]}
BELOW["scales"] = {"options", *BELOW["options"]}
BELOW["selection"] = {"scales", *BELOW["scales"]}
BELOW["loading"] = {
    "backends", "given", "families", "machine", "models", "once", "options", "request",
    *BELOW["models"], *BELOW["machine"], *BELOW["options"],
}  # fmt: skip
BELOW["scoring"] = {
    "call", "keywords", "loading", "protocols", "scales", "signatures", *BELOW["loading"],
}  # fmt: skip
BELOW["packaging"] = {"loading", *BELOW["loading"]}
BELOW["flow"] = {"scoring", "selection", *BELOW["scoring"]}
BELOW["reranker"] = {"flow", "given", "keywords", "signatures", "threads", *BELOW["flow"]}
BELOW["calibrating"] = {"files", "reports", "reranker", *BELOW["reranker"]}
BELOW["compare"] = {"reranker", *BELOW["reranker"]}
BELOW["datasets"] = {"files", "reranker", *BELOW["reranker"]}
BELOW["trials"] = {"files", "reports", "reranker", *BELOW["reranker"]}
BELOW["adapter"] = {"reranker", *BELOW["reranker"]}
BELOW["server"] = {"recording", "reranker", *BELOW["recording"], *BELOW["reranker"]}
BELOW["serving"] = {"server", *BELOW["server"]}
BELOW["attributes"] = {"adapter", *BELOW["adapter"]}


def test_every_package_has_a_layer() -> None:
    assert {*BELOW, "cli", "export", "testing"} == ROOMS


@pytest.mark.parametrize("room", BELOW)
def test_no_import_reaches_a_higher_layer(room: str) -> None:
    for name in NAMES:
        if within(name, room):
            strangers = {
                each
                for each in reached(name)
                if not any(within(each, below) for below in (room, *BELOW[room]))
            }
            assert not strangers, name


def test_imports_have_no_cycles() -> None:
    def above(name: str) -> set[str]:
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            new = IMPORTS[waiting.pop()] - seen
            seen |= new
            waiting += new
        return seen

    assert not [name for name in NAMES if name in above(name)]


# Wrappers around scorers know nothing of models, so that any two fit together.
@pytest.mark.parametrize(
    "name", ["asking", "cached", "cascade", "cuts", "disk", "fallback", "scorer", "stores"]
)
def test_wrappers_import_scorers_alone(name: str) -> None:
    parts = {f"scoring.{each}" for each in ("asking", "cuts", "disk", "ready", "scorer", "stores")}
    allowed = {"call", "checks", "errors", "once", "prior", "ranking", "request", "scales", *parts}
    found = {each.removeprefix("resift.") for each in IMPORTS[f"resift.scoring.{name}"]}
    assert found <= allowed


@pytest.mark.parametrize("room", ["cli", "export", "server", "testing"])
def test_no_other_package_imports_the_top_layer(room: str) -> None:
    users = {
        name for name in NAMES if not within(name, room)
        and any(within(each, room) for each in IMPORTS[name])
    }  # fmt: skip
    # The commands that export and serve; the configuration's models, to be evaluated; and what
    # others may have of the server.
    commands = {"resift.cli.evaluate", "resift.cli.export", "resift.cli.serve"}
    assert users <= {*commands, "resift.serving"}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_files_and_functions_are_short(module: Path) -> None:
    source = (ENGINE / module).read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 300
    functions = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    assert not [each.name for each in functions if (each.end_lineno or 0) - each.lineno >= 60]


def test_making_models_does_not_import_measuring_them() -> None:
    make, measure = (ROOT / "training" / folder for folder in ("make", "measure"))
    made, measuring = ({path.stem for path in each.glob("*.py")} for each in (make, measure))
    assert not made & measuring
    for path in make.glob("*.py"):
        assert not measuring & {top(name) for name in imports(path)}, path
    for path in measure.glob("*.py"):
        assert path.stem == "made" or not made & {top(name) for name in imports(path)}, path


def test_pure_modules_import_the_standard_library_alone() -> None:
    assert {top(name) for name in imports(ENGINE / "text/batching.py")} <= set(
        sys.stdlib_module_names
    )


def test_protocols_are_pure() -> None:
    for path in (ENGINE / "protocols").glob("*.py"):
        known = {
            "__future__",
            "abc",
            "collections",
            "dataclasses",
            "json",
            "re",
            "resift",
            "typing",
        }
        assert {top(name) for name in imports(path)} <= known, path


@pytest.mark.parametrize("folder", INTEGRATIONS, ids=lambda folder: folder.name)
def test_adapters_import_their_framework_and_the_engine(folder: Path) -> None:
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[><=\[ ]", dependency)[0] for dependency in project["dependencies"]}
    frameworks = {
        "haystack-ai": {"haystack", "haystack_integrations"},
        "langchain-core": {"langchain_core", "langchain_resift"},
        "llama-index-core": {"llama_index"},
        # Ray Data has Arrow tables, and Serve's applications are Starlette's.
        "ray": {"pyarrow", "ray", "resift_ray", "starlette"},
    }
    allowed = {"resift", *sys.stdlib_module_names}
    for name in declared:
        allowed |= frameworks.get(name, {name})
    for path in (folder / "src").rglob("*.py"):
        assert {top(name) for name in imports(path)} <= allowed, path
