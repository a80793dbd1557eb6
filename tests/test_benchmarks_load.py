"""benchmarks/hostile.py and benchmarks/load.py, with resift from this Python."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from installed import require
from sources import BENCHMARKS, ROOT


def hostile(out: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    command = [sys.executable, str(BENCHMARKS / "hostile.py"), "--here", "--quick", *words]
    folders = ["--class", "any", "--out", str(out), "--envs", str(out / "envs")]
    done = subprocess.run([*command, *folders], stderr=subprocess.PIPE, encoding="utf-8")
    results = json.loads((out / "hostile.json").read_text(encoding="utf-8"))
    return done.returncode, results, (out / "hostile.md").read_text(encoding="utf-8")


def test_hostile_cases_are_judged_and_repeated(tmp_path: Path) -> None:
    status, results, page = hostile(tmp_path, "--case", "none", "nan")
    assert status == 0, results
    assert {cell["case"]: cell["word"] for cell in results["cells"]} == {
        "none": "right",
        "nan": "right",
    }
    assert "NonFiniteScoreError" in page
    assert str(tmp_path) not in page
    status, results, page = hostile(tmp_path, "--case", "sigterm", "--memory", "0.01")
    assert status == 1
    assert [cell["word"] for cell in results["cells"]] == ["right", "right", "killed"]
    assert "`python benchmarks/hostile.py --case sigterm --here`" in page
    assert page.index("None") < page.index("SIGTERM")


@pytest.fixture
def judged(module: Callable[[str], ModuleType]) -> Callable[[str, Any], str]:
    """The word for a library whose scores a function gives, in one of hostile's cases."""
    cases, subject = module("cases"), module("subject")

    def judge(case: str, scores: Callable[[str, list[Any]], list[float]]) -> str:
        class Library:
            def rank(self, query: str, documents: list[Any]) -> list[float]:
                return scores(query, documents)

            def scores(self, ranked: list[float]) -> list[float]:
                return ranked

        stranger = SimpleNamespace(
            settings={"documents": 3, "calls": 20}, load=lambda: subject.Loaded(Library())
        )
        word: str = cases.CASES[case].run(stranger).word
        return word

    return judge


def by_length(query: str, documents: list[Any]) -> list[float]:
    return [float(len(document or "")) for document in documents]


def no_number(query: str, documents: list[Any]) -> list[float]:
    return [float("nan")] * len(documents)


def leaves_out(query: str, documents: list[Any]) -> list[float]:
    return [float(len(document)) for document in documents if document]


def by_place(query: str, documents: list[Any]) -> list[float]:
    return [float(place) for place in range(len(documents))]


def refuses(query: str, documents: list[Any]) -> list[float]:
    if not all(isinstance(each, str) and each.isprintable() for each in documents):
        raise ValueError("control characters")
    return by_length(query, documents)


@pytest.mark.parametrize(
    ("case", "scores", "word"),
    [
        ("none", by_length, "right"),
        ("none", refuses, "right"),
        ("none", leaves_out, "wrong"),
        ("empty", by_length, "right"),
        ("empty", lambda query, documents: [float(len(documents[0]))] * len(documents), "wrong"),
        ("empty", leaves_out, "wrong"),
        ("duplicates", by_length, "right"),
        ("duplicates", by_place, "wrong"),
        ("binary", refuses, "right"),
        ("binary", leaves_out, "right"),
        ("nan", no_number, "wrong"),
        ("nan", refuses, "wrong"),
        ("long-query", by_length, "right"),
        ("long-query", no_number, "wrong"),
        ("memory", by_length, "right"),
        ("memory", no_number, "wrong"),
        ("threads", by_length, "right"),
    ],
)
def test_the_rules_of_hostile_cases(
    judged: Callable[[str, Any], str],
    case: str,
    scores: Callable[[str, list[Any]], list[float]],
    word: str,
) -> None:
    assert judged(case, scores) == word


def test_answers_that_differ_among_threads_are_wrong(judged: Callable[[str, Any], str]) -> None:
    calls: list[int] = []

    def scores(query: str, documents: list[Any]) -> list[float]:
        calls.append(1)
        return [float(len(calls) > 100)] * len(documents)

    assert judged("threads", scores) == "wrong"


def test_load_is_measured_on_two_checkouts_by_turns(tmp_path: Path) -> None:
    scenarios = ("--scenarios", "closed", "giant", "--model", "resift-nano", "--threads", "1")
    few = ("--callers", "2", "--giant", "20", "--against", str(ROOT))
    folders = ("--class", "any", "--out", str(tmp_path), "--envs", str(tmp_path / "envs"))
    command = [sys.executable, str(BENCHMARKS / "load.py"), "--here", "--quick"]
    done = subprocess.run(
        [*command, *scenarios, *few, *folders], stderr=subprocess.PIPE, encoding="utf-8"
    )
    results = json.loads((tmp_path / "load.json").read_text(encoding="utf-8"))
    assert done.returncode == 0, done.stderr
    assert results["failed"] == []
    assert [run["side"] for run in results["runs"]] == ["this", "against"] * 3
    for run in results["runs"]:
        for by in ("threads", "tasks"):
            figures = run["figures"].get(by)
            if figures:
                assert figures["errors"] == []
                assert figures["difference"] <= 1e-5
    page = (tmp_path / "load.md").read_text(encoding="utf-8")
    assert "## Closed loop" in page
    assert "| 2 tasks | against |" in page
    assert str(tmp_path) not in page


def test_arrivals_and_percentiles(module: Callable[[str], ModuleType]) -> None:
    arrivals, lag = module("arrivals"), module("lag")
    times = arrivals.poisson(rate=50.0, seconds=40.0, seed=1)
    assert times == sorted(times) == arrivals.poisson(rate=50.0, seconds=40.0, seed=1)
    assert 1800 < len(times) < 2200
    assert len(arrivals.poisson(rate=1e-6, seconds=0.1, seed=1)) == 1
    assert [lag.percentile(range(1, 101), share) for share in (0.5, 0.99, 1)] == [50, 99, 100]
    # The second waits for the first, and that is part of its latency.
    first = threading.Event()

    def work(number: int) -> None:
        if number:
            first.wait()
        time.sleep(0.1)
        first.set()

    record = arrivals.open_by_threads(work, [0.0, 0.01])
    assert dict(record.latencies)[1] > 0.18
    assert record.errors == []


@pytest.mark.parametrize("name", ["hostile", "load"])
def test_the_pages_show_the_committed_results(
    module: Callable[[str], ModuleType], name: str
) -> None:
    found = list(BENCHMARKS.glob(f"results/*/{name}.json"))
    assert found
    for path in found:
        results = json.loads(path.read_text(encoding="utf-8"))
        assert results["class"] == path.parent.name
        page = path.with_suffix(".md").read_text(encoding="utf-8")
        assert page == module(f"{name}_report").report(results)


@pytest.mark.parametrize(
    ("data", "script", "drawn"),
    [
        ("avx512-vnni/load.json", "load_plots", "load.svg"),
        ("avx512-vnni/serve.json", "serve_plots", "serve.svg"),
        ("avx2/cpu.json", "plots", "cpu-MiniLM-L6-times.svg"),
        ("avx2/cpu.json", "plots", "cpu-MiniLM-L6-phases.svg"),
    ],
)
def test_plots_are_described_files(
    module: Callable[[str], ModuleType], tmp_path: Path, data: str, script: str, drawn: str
) -> None:
    require("matplotlib")
    results = json.loads((BENCHMARKS / "results" / data).read_text(encoding="utf-8"))
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        module(script).main(results, folder if script == "plots" else folder / drawn)
    one, two = ((tmp_path / each / drawn).read_bytes() for each in ("one", "two"))
    assert one == two
    root = ElementTree.fromstring(one)
    title, description, *_ = root
    assert title.tag.endswith("title")
    assert title.text
    # What every line shows can be read.
    assert "resift" in (description.text or "") or "this" in (description.text or "")
    assert b"mathdefault" not in one
    assert b"<dc:date>" not in one
