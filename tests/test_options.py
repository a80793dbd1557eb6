"""Every option is declared once: whatever else knows of it has it from there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from resift.options import declared

ROOT = Path(__file__).parents[1]
TOOL = "tools/keywords.py"

PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")

# What a contributor writes: one declaration, before another. The first is the page's.
MAX_WINDOWS = (
    "    prune: Prune | None = option(",
    PAGE[PAGE.index("    max_windows: int") :].partition("\n\n")[0] + "\n",
)
ON_MISMATCH = (
    "    offline: bool | None = option(",
    """    on_mismatch: Literal["raise", "pass"] = option(
        "raise",
        partial(check_choice, choices=("raise", "pass")),
        "what becomes of a failure",
    )
""",
)

# Prints nothing; a surface that doesn't know the option ends it.
SURFACES = """
import inspect, sys
from haystack_integrations.components.rankers.resift import ResiftRanker
from langchain_resift import ResiftCrossEncoder, ResiftReranker
from llama_index.postprocessor.resift import ResiftRerank
from resift import InvalidRequestError, Reranker, RerankerOptions
from resift.cli.main import _parser
from resift.cli.options import given_options

name, value, wrong, default, at_call = eval(sys.argv[1])

def refused(make):
    try:
        make()
    except InvalidRequestError as error:
        assert name in str(error), error
    else:
        raise AssertionError(f"{wrong!r} was taken as {name}")

adapters = [ResiftReranker, ResiftCrossEncoder, ResiftRerank, ResiftRanker]
for kind in [Reranker, *adapters]:
    assert inspect.signature(kind).parameters[name].default == default, kind
    refused(lambda: kind(**{name: wrong}))
for kind in adapters:
    made = kind(**{name: value})
    assert getattr(made, name) == value
    assert getattr(kind(), name) == default
    assert made.reranker.options[name] == value
    refused(lambda: setattr(made, name, value))
for kind in (ResiftReranker, ResiftRerank):
    assert kind.model_json_schema()["properties"][name]["default"] == default
    assert kind(**kind(**{name: value}).model_dump()) == kind(**{name: value})
assert ResiftRanker(**{name: value}).to_dict()["init_parameters"][name] == value
refused(lambda: setattr(Reranker(), name, value))

reranker = Reranker(**{name: value})
assert repr(value) in repr(reranker)
for method in (reranker.rank, reranker.score):
    try:
        assert len(method("query", [], **{name: value})) == 0
    except TypeError as error:
        assert name in str(error) and not at_call, error
    else:
        assert at_call
        refused(lambda: method("query", [], **{name: wrong}))
parsed = _parser().parse_args(["rank", "query", f"--{name.replace('_', '-')}", str(value)])
assert given_options(parsed) == {name: value}
"""


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python, with the engine of a checkout."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        capture_output=True,
        encoding="utf-8",
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the engine, of the page and of the tool that writes what is read off options."""
    ignored = shutil.ignore_patterns("bundled", "__pycache__")
    shutil.copytree(ROOT / "src/resift", tmp_path / "src/resift", ignore=ignored)
    for name in (TOOL, "docs/contract.md", "docs/ray.md", "docs/serving.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def declare(checkout: Path, place: str, declaration: str) -> None:
    path = checkout / "src/resift/options.py"
    before, found, after = path.read_text(encoding="utf-8").partition(place)
    assert found
    path.write_text(f"{before}{declaration}{found}{after}", encoding="utf-8")


def test_generated_keywords_equal_the_declarations() -> None:
    done = run(ROOT, str(ROOT / TOOL), "--check")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("declaration", "case", "classes"),
    [
        (MAX_WINDOWS, ("max_windows", 50, 0, None, True), 6),
        (ON_MISMATCH, ("on_mismatch", "pass", "ignore", "raise", False), 5),
    ],
    ids=["of a call", "of loading"],
)
def test_one_declaration_is_all_that_a_new_option_needs(
    checkout: Path,
    declaration: tuple[str, str],
    case: tuple[str, object, object, object, bool],
    classes: int,
) -> None:
    declare(checkout, *declaration)
    tool = str(checkout / TOOL)
    forgotten = run(checkout, tool, "--check")
    assert forgotten.returncode == 1
    assert "python tools/keywords.py" in forgotten.stderr
    written = run(checkout, tool)
    assert written.returncode == 0, written.stderr
    assert run(checkout, tool, "--check").returncode == 0
    keywords = (checkout / "src/resift/keywords.py").read_text(encoding="utf-8")
    assert keywords.count(f"    {case[0]}: ") == classes
    page = (checkout / "docs/contract.md").read_text(encoding="utf-8")
    assert f"| `{case[0]}` | " in page
    done = run(checkout, "-c", SURFACES, repr(case))
    assert done.returncode == 0, done.stderr


def test_a_meaning_is_one_sentence() -> None:
    for name, option in declared().items():
        assert option.meaning, name
        assert not option.meaning.endswith("."), name
        assert ". " not in option.meaning, name
