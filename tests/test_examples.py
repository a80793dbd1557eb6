"""The examples as somebody runs who copies them: each prints what it says that it prints."""

from __future__ import annotations

import ast
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from installed import require
from printed import is_printed
from scipy.stats import kendalltau

EXAMPLES = Path(__file__).parents[1] / "examples"
# What they need beside resift.
NEEDED = {
    "chat_deadline": ["bm25s"],
    "contracts_windows": [],
    "haystack_yaml": ["haystack", "haystack_integrations.components.rankers.resift"],
    "langchain_rag": ["bm25s", "langchain_resift"],
    "llamaindex_timings": ["bm25s", "llama_index.postprocessor.resift"],
    "two_models": ["bm25s"],
}
# What dev.py runs as the demo, and the texts that it searches.
OTHERS = ("documentation", "python_docs")
FILES = sorted(path for path in EXAMPLES.glob("*.py") if path.stem not in OTHERS)


def run(name: str, *arguments: str, folder: Path) -> str:
    require(*NEEDED[name])
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def said(name: str) -> str:
    """The output in a file's docstring."""
    tree = ast.parse((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))
    _, _, output = str(ast.get_docstring(tree)).rpartition(":\n\n    ")
    return dedent(f"    {output}\n")


def without_times(text: str) -> str:
    """The text, and how it is laid out, without milliseconds, and tokens of each Python's pages."""
    return re.sub(r"\b[0-9]+ tokens\b", "# tokens", re.sub(r" *[0-9.]+ ms\b", " # ms", text))


def test_every_example_is_run() -> None:
    assert [path.stem for path in FILES] == sorted(NEEDED)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.stem))
def test_an_example_is_short_and_says_how_to_run_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 120
    assert f"    python examples/{path.name}" in str(ast.get_docstring(ast.parse(text)))


@pytest.mark.parametrize("name", [each for each in sorted(NEEDED) if each != "chat_deadline"])
def test_an_example_prints_what_it_says(name: str, tmp_path: Path) -> None:
    wanted, printed = without_times(said(name)), without_times(run(name, folder=tmp_path))
    if not is_printed(wanted, printed):
        pytest.fail(f"{name}.py: expected\n{wanted}\ngot\n{printed}")


def test_a_pipeline_is_written_where_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    assert run("haystack_yaml", str(path), folder=tmp_path).count(": the same\n") == 2
    assert "type: haystack_integrations.components.rankers.resift.ranker.ResiftRanker" in (
        path.read_text(encoding="utf-8")
    )


ROW = re.compile(
    r"(?m)^(small|small, pruned|nano, then small|nano) +(complete|partial) +(\d+) +(\d+) +(\d+) "
)


# In no time at all, in as much as it takes, and in what the file gives them.
@pytest.mark.parametrize("deadline", ["1", "600000", None])
def test_the_chat_answers_in_any_case(deadline: str | None, tmp_path: Path) -> None:
    printed = run("chat_deadline", *([deadline] if deadline else []), folder=tmp_path)
    assert len(re.findall(r"(?m)^answer, with \d+ ms left: \S", printed)) == 3
    rows = [(name, status, *map(int, more)) for name, status, *more in ROW.findall(printed)]
    assert len(rows) == 3 * 4
    for name, status, scored, cut, late in rows:
        assert scored + cut + late == 40, printed
        assert (status == "partial") == (late > 0), printed
        assert scored > 0
        # Only these leave something out.
        assert cut == 0 or name in ("small, pruned", "nano, then small")
        if deadline == "600000":
            assert late == 0
            assert cut > 0 or name in ("small", "nano")
    if deadline == "1":
        assert {status for _, status, *_ in rows} == {"partial"}


def example(name: str) -> dict[str, Any]:
    require(*NEEDED[name])
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


def test_the_agreement_of_two_orders_is_kendalls() -> None:
    agreement = example("two_models")["agreement"]
    for seed in range(5):
        orders = [np.random.default_rng(seed + each).permutation(12) for each in (0, 100)]
        places = [{n: int(place) for n, place in enumerate(order)} for order in orders]
        assert agreement(*places) == pytest.approx(kendalltau(*orders).statistic)


def test_every_question_has_a_clause_that_is_there_once() -> None:
    found = example("contracts_windows")
    for file, questions in found["QUESTIONS"].items():
        path = EXAMPLES / "contracts" / file
        clauses = [clause for each in found["contracts"](path) for clause in each]
        assert len(clauses) > 15
        for answer in questions.values():
            assert sum(clause.startswith(f"{answer} ") for clause in clauses) == 1
        # Where it is from, and on what terms.
        head = path.read_text(encoding="utf-8").partition("\n\n")[0]
        assert re.search("§ 5 .* UrhG|Licence Ouverte", head)
