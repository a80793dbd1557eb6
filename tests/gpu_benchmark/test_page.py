"""Results that are kept, left out and reported, and the command."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gpu_benchmark.fakes import Clock

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks/gpu.py"
TRIAL = Path(__file__).with_name("trial.json")
"""Results of a real run on a CPU, of tiny shapes."""
RATES = {"bf16": 1e12, "fp32": 1e11}


# Results.

FACTS: dict[str, Any] = {"device": "NVIDIA H200", "versions": {"torch": "2.11.0"}}


def test_a_second_call_goes_on(at: Any, tmp_path: Path) -> None:
    path = tmp_path / "h200/gpu.json"
    first = at.gpu_results.Results(path, FACTS)
    first.began({"command": "python benchmarks/gpu.py", "date": "2026-01-01"})
    first.put("a cell", {"pairs": 10})
    first.leave_out("b cell", "no time")
    second = at.gpu_results.Results(path, FACTS)
    assert second.cells == {"a cell": {"pairs": 10}}
    assert len(second.content["runs"]) == 1
    # It may fit now.
    assert second.content["left_out"] == {}
    assert [each.name for each in path.parent.iterdir()] == ["gpu.json"]


@pytest.mark.parametrize("other", [{"device": "cpu"}, {"versions": {"torch": "2.13.0"}}])
def test_results_of_another_device_are_not_mixed(
    at: Any, tmp_path: Path, other: dict[str, Any]
) -> None:
    path = tmp_path / "gpu.json"
    at.gpu_results.Results(path, FACTS).began({})
    before = path.read_bytes()
    with pytest.raises(at.rounds.UnavailableError, match=r"--fresh"):
        at.gpu_results.Results(path, FACTS | other)
    assert path.read_bytes() == before


def test_each_measurement_is_in_the_file_at_once(at: Any, tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    results = at.gpu_results.Results(path, FACTS)
    for name in ("one", "two"):
        results.put(name, {})
        assert name in json.loads(path.read_text(encoding="utf-8"))["cells"]


def test_time_that_is_left(at: Any) -> None:
    clock = Clock()
    budget = at.gpu_results.Budget(2, clock)
    clock.now = 30
    assert (budget.left, budget.until(40), budget.until(400)) == (90, 70, 120)
    assert budget.lacks(90) is None
    assert "90 s of --minutes" in budget.lacks(91)
    clock.now = 500
    assert budget.left == 0
    assert at.gpu_results.Budget(None, clock).until(math.inf) == math.inf


def test_shapes_that_are_done_or_do_not_fit_cost_nothing(
    at: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = at.gpu_results.Results(tmp_path / "gpu.json", FACTS)
    made: list[str] = []

    def fail(shape: Any, folder: Path, device: str) -> None:
        made.append(folder.name)
        raise RuntimeError("no space left on device")

    monkeypatch.setattr(at.gpu_driver, "make_model", fail)
    options = SimpleNamespace(
        part=["throughput", "defaults"], shapes=["tiny", "bge-reranker-base"], models=tmp_path,
        pairs=1000, counts=[100], rounds=5, calls=20, cell_seconds=15.0, try_seconds=0.7,
    )  # fmt: skip
    device = SimpleNamespace(name="cuda", is_gpu=True, rates=lambda: RATES, clear=lambda: None)
    budget = at.gpu_results.Budget(0.01, Clock())
    at.gpu_driver.run(options, results, device, budget)
    # It fits, fails, and ends nothing.
    assert made == ["tiny", "tiny"]
    left_out = results.content["left_out"]
    assert left_out.pop("tiny") == "RuntimeError: no space left on device"
    assert list(left_out) == ["bge-reranker-base, throughput", "bge-reranker-base, defaults"]
    assert all("--minutes" in each for each in left_out.values())


def test_a_cell_that_is_there_is_not_measured_again(
    at: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, measured = at.gpu_results.Results(tmp_path / "gpu.json", FACTS), []
    results.put("old", {"pairs": 1})
    cells = [SimpleNamespace(name=name) for name in ("old", "new", "late")]
    monkeypatch.setattr(at.gpu_driver, "make_model", lambda *_: None)
    monkeypatch.setattr(at.gpu_driver, "Bench", lambda *_: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(at.gpu_driver, "cells", lambda *_: cells)

    def measure(cell: Any, *_: Any) -> dict[str, Any] | str:
        measured.append(cell.name)
        return "no time" if cell.name == "late" else {"pairs": 2}

    monkeypatch.setattr(at.gpu_driver, "measure", measure)
    device = SimpleNamespace(name="cpu", clear=lambda: None)
    results.content["rates"] = RATES
    budget = at.gpu_results.Budget(None, Clock())
    at.gpu_driver._shape("tiny", tmp_path, ["latency"], None, results, device, budget)
    assert measured == ["new", "late"]
    assert results.cells == {"old": {"pairs": 1}, "new": {"pairs": 2}}
    assert results.content["left_out"] == {"late": "no time"}


# The page.


def trial() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(TRIAL.read_text(encoding="utf-8"))
    return found


def test_a_trial_on_a_cpu_never_claims_to_be_a_gpus(at: Any) -> None:
    text = at.gpu_report.page(trial())
    assert text.startswith("# A trial of the benchmark for GPUs, on a CPU\n")
    assert "**Nothing here is of a GPU**" in text
    assert "driver" not in text.split("## ")[0]
    svg = at.gpu_plots.draw(trial())
    assert "Rerankers on cpu" in svg
    assert svg.startswith("<svg ")


def test_the_page_names_the_gpu_and_everything_measured(at: Any) -> None:
    results = trial() | {
        "device": "NVIDIA H200",
        "memory": 141 * 2**30,
        "multiprocessors": 132,
        "cuda": "13.0",
        "driver": "580.159.04",
        "left_out": {"tiny, 512": "some 90 s were needed, and 5 s of --minutes were left"},
    }
    for cell in results["cells"].values():
        if cell.get("part") in ("throughput", "latency"):
            cell["failed"] = {"other, best": f"isn't installed for {cell['part']}"}
    text = at.gpu_report.page(results)
    assert text.startswith("# Rerankers on one GPU: NVIDIA H200\n")
    assert "driver 580.159.04, CUDA 13.0" in text
    for title in ("Targets", "Latency", "Tokens of a pass", "The host alone", "Left out"):
        assert f"\n## {title}\n" in text
    for cell in results["cells"].values():
        for name, found in cell.get("systems", {}).items():
            assert name in text
            # A sweep's are in its head.
            assert found["setting"] in text or cell["part"] == "sweep"
        for name, why in cell.get("failed", {}).items():
            assert name in text
            assert why in text
    # One row for all that failed alike.
    failed = "fp32, flash_attention_2, batches of 32 … fp32, flash_attention_2, batches of 256"
    assert text.count(failed) == 6
    # Each row has as many columns as its head.
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1, block


def test_targets_are_met_or_not(at: Any) -> None:
    def cell(part: str, mine: float, theirs: float, **more: Any) -> dict[str, Any]:
        systems = {
            "resift bf16": {"seconds": [mine]},
            "FlagEmbedding, best": {"seconds": [theirs]},
            "sentence-transformers, best": {"seconds": [theirs / 2]},
        }
        base = {"shape": "s", "part": part, "kind": "mixed", "pairs": 100, "flop": [1e12]}
        return base | {"systems": systems} | more

    cells = {
        "1": cell("throughput", 1.0, 4.0),
        # The least of both loads counts.
        "2": cell("throughput", 1.0, 2.9, kind="512"),
        "3": cell("latency", 0.0249, 1.0),
        "4": cell("latency", 0.9, 1.0, pairs=10),
    }
    said = [each.said(each.of(cells, "s", 2e12)) for each in at.gpu_figures.TARGETS]
    assert said == [
        "not measured",
        "2.90 ×: not met",
        "1.45 ×: not met",
        "50%: met",
        "24.90 ms: met",
    ]


# The command.


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *words], capture_output=True, encoding="utf-8", timeout=100
    )


def test_without_a_gpu_it_says_so_and_ends_well() -> None:
    try:
        import torch
    except ImportError:
        expected = "skipped: torch"
    else:
        if torch.cuda.is_available():
            pytest.skip("there is a GPU")
        expected = "skipped: no GPU"
    done = run("--minutes", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(expected)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--device", "cpu"], "need --out"),
        (["--shapes", "huge"], "no shape 'huge'; expected one of bge-reranker-v2-m3"),
        (["--rounds", "0"], "must be at least 1"),
    ],
)
def test_impossible_options_are_refused(words: list[str], said: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert said in done.stderr


def test_the_host_alone_needs_no_torch(tmp_path: Path) -> None:
    words = ["--device", "cpu", "--part", "host", "--pairs", "4", "--rounds", "1"]
    found = []
    for _ in range(2):
        done = run(*words, "--out", str(tmp_path))
        assert done.returncode == 0, done.stderr
        found.append(json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8")))
    first, results = found
    assert results["cells"] == first["cells"]
    assert len(results["runs"]) == 2
    host = results["cells"]["host"]
    assert len(host["kinds"]) == 2
    for found in host["kinds"].values():
        assert found["tokens"] > 4 * 200
        assert min(found["a_second"].values()) > 1000
    text = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert "Unigram, resift-multilingual" in text
    assert str(tmp_path) not in text
    (tmp_path / "gpu.md").unlink()
    assert run("--page", str(tmp_path)).returncode == 0
    assert (tmp_path / "gpu.md").read_text(encoding="utf-8") == text
    done = run(*words, "--out", str(tmp_path), "--fresh")
    assert len(json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))["runs"]) == 1
