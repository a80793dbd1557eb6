"""Whole runs: they end with a report, whatever this machine can't do.

The systems' environments are fakes: each Python there answers as told. All else is real.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sources import BENCHMARKS

# Run by each fake Python, with the words that the driver gives it.
_FAKE = """#!{python}
import json, os, signal, sys
from pathlib import Path
from platform import machine

words = sys.argv[1:]
faults = {faults}
script = Path(words[0]).name


def die(fault):
    if fault == "SIGILL":
        os.kill(os.getpid(), signal.SIGILL)
    if fault is not None:
        sys.exit(f"Traceback\\nSomeError: {{fault}}")


if script == "processor.py":
    print(json.dumps({{"class": "avx2", "seen": {{"torch": os.environ.get("SEEN", "AVX2")}}}}))
elif script == "ceiling.py":
    best = {{"fp32": {{"numpy": 1.0}}}}
    print(json.dumps({{"best": best, "failed": {{"int8 on torch": "too slow"}}}}))
elif script == "prepare.py":
    step, folder, shape, processor_class = words[1:]
    die(faults.get(step))
    Path(folder).mkdir(parents=True, exist_ok=True)
    Path(folder, f"{{step}}.json").write_text(json.dumps({{"class": processor_class}}))
elif script == "plots.py":
    die(faults.get("plots"))
elif script == "-m":
    sys.exit(faults.get(Path(sys.argv[0]).parts[-3] + " installs"))
elif script == "-c":
    die(faults.get("import"))
    print(0.5)
elif script == "worker.py":
    adapter, model, threads, options = words[1:]
    options = json.loads(options)
    name = options.get("precision") or options.get("file") or adapter
    if name + " loads" in faults:
        print(json.dumps({{"error": "SomeError: " + faults[name + " loads"]}}))
        sys.exit()
    print(json.dumps({{"memory": {{}}}}), flush=True)
    for number, line in enumerate(sys.stdin):
        request = json.loads(line)
        documents = request["documents"]
        answer = {{"seconds": 0.1, "tokenize": 0.0, "infer": 0.1, "memory": {{}}}}
        answer |= {{"tokens": 10 * len(documents), "padded_tokens": 10 * len(documents)}}
        answer["scores"] = list(range(len(documents)))
        if request.get("lengths"):
            answer = {{"lengths": [10] * len(documents)}}
        if number and name + " ranks" in faults:
            die(faults[name + " ranks"])
        if number and name + " answers" in faults:
            answer = {{"error": "SomeError: " + faults[name + " answers"]}}
        while number and name + " hangs" in faults:
            signal.pause()
        print(json.dumps(answer), flush=True)
"""
Run = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    if os.name == "nt":
        pytest.skip("the fake Pythons are POSIX scripts")

    def environments(faults: dict[str, str]) -> Path:
        for requirements in BENCHMARKS.glob("requirements-*.txt"):
            name = requirements.stem.removeprefix("requirements-")
            (tmp_path / name / "bin").mkdir(parents=True)
            (tmp_path / name / "lib/site-packages").mkdir(parents=True)
            digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
            (tmp_path / name / "requirements.sha256").write_text(digest, encoding="utf-8")
            python = tmp_path / name / "bin/python"
            text = _FAKE.format(python=sys.executable, faults=repr(faults))
            python.write_text(text, encoding="utf-8")
            python.chmod(0o755)
        return tmp_path

    def run(*words: str, faults: dict[str, str] | None = None) -> tuple[int, dict[str, Any], str]:
        out = tmp_path / "out"
        envs = environments(faults or {})
        cells = ["--shapes", "TinyBERT-L2", "--kinds", "short", "--counts", "2"]
        limits = ["--rounds", "1", "--starts", "1"]
        folders = ["--envs", str(envs), "--out", str(out)]
        command = [sys.executable, str(BENCHMARKS / "cpu.py"), *cells, *limits, *folders, *words]
        done = subprocess.run(command, stderr=subprocess.PIPE, encoding="utf-8", timeout=100)
        assert "Traceback" not in done.stderr.replace("Traceback\nSomeError", "")
        text = (out / "cpu.md").read_text(encoding="utf-8")
        assert str(tmp_path) not in text
        return (
            done.returncode,
            json.loads((out / "cpu.json").read_text(encoding="utf-8")),
            text,
        )

    return run


SYSTEMS = ("--systems", "resift-onnx-fp32", "resift-onnx-int8", "flashrank-int8")


def measured(results: dict[str, Any]) -> list[str]:
    (cell,) = results["cells"]
    return list(cell["systems"])


def test_a_report_names_the_class_and_the_processor(run: Run) -> None:
    status, results, text = run(*SYSTEMS)
    assert status == 0
    assert measured(results) == ["resift-onnx-fp32", "resift-onnx-int8", "flashrank-int8"]
    assert results["left_out"] == []
    assert text.startswith("# Rerankers on one CPU: avx2\n")
    assert results["processor"] in text
    assert "Simulated" not in text
    assert "No matrix product in int8 on torch: too slow" in text


# Each way to fail, and what the report says of it.
FAULTS = {
    "resift-openvino-fp32": (
        "resift-openvino installs",
        "ERROR: no such package",
        "its environment can't be made: ERROR: no such package",
    ),
    "resift-onnx-bf16": ("bf16 loads", "no such products", "SomeError: no such products"),
    "resift-onnx-int8": ("resift-int8", "no way", "its model (resift-int8): SomeError: no way"),
    "flashrank-int8": ("flashrank ranks", "SIGILL", "from short ×2 on: ended by SIGILL"),
    "fastembed-fp32": ("onnx/model.onnx hangs", "", "from short ×2 on: took longer than 5 s"),
    "fastembed-int8": (
        "onnx/model_int8.onnx answers",
        "out of range",
        "from short ×2 on: SomeError: out of range",
    ),
}


def test_a_failing_system_is_left_out(run: Run) -> None:
    faults = {fault: what for fault, what, _ in FAULTS.values()}
    systems = ("--systems", "resift-onnx-fp32", *FAULTS)
    status, results, text = run(*systems, "--patience", "5", faults=faults)
    assert status == 0
    assert measured(results) == ["resift-onnx-fp32"]
    found = {each["system"]: each["reason"] for each in results["left_out"]}
    assert found == {name: reason for name, (_, _, reason) in FAULTS.items()}
    for name, reason in found.items():
        assert re.search(rf"- {name}( \(TinyBERT-L2\))?: {re.escape(reason)}\n", text)


def test_a_step_that_fails_leaves_out_what_reads_its_files(run: Run) -> None:
    faults = {"onnx": "unknown operator", "plots": "no fonts", "import": "SIGILL"}
    status, results, text = run(*SYSTEMS, faults=faults)
    assert status == 0
    assert measured(results) == ["resift-onnx-fp32", "resift-onnx-int8"]
    assert "- flashrank-int8 (TinyBERT-L2): its model (onnx): SomeError: unknown operator\n" in text
    assert "No plots: SomeError: no fonts" in text
    assert "can't be timed: ended by SIGILL" in text


@pytest.mark.parametrize("fault", ["reference", "reference answers"])
def test_without_the_reference_nothing_is_measured(run: Run, fault: str) -> None:
    status, results, text = run(*SYSTEMS, "--counts", "2", "3", faults={fault: "no torch here"})
    assert status == 1
    assert results["cells"] == []
    assert "SomeError: no torch here" in text


def test_a_simulated_class_applies_to_all_and_is_reported(run: Run, tmp_path: Path) -> None:
    variables = ("--worker-env", "SEEN=less", f"LD_LIBRARY_PATH={tmp_path}/some/lib")
    patch = tmp_path / "patch.py"
    code = "import sys; from pathlib import Path; (Path(sys.argv[1]) / 'p').touch()"
    patch.write_text(code, encoding="utf-8")
    command = f"{sys.executable} {patch}"
    status, results, text = run(*SYSTEMS, "--class", "old", *variables, "--patch", command)
    assert status == 0
    assert results["class"] == "old"
    assert results["seen"] == {"torch": "less"}
    assert "**Simulated**" in text
    assert "`SEEN=less LD_LIBRARY_PATH=lib`" in text
    assert "patch.py` changed" in text
    assert (tmp_path / "flashrank/lib/site-packages/p").exists()


def test_a_simulation_has_a_name(run: Run) -> None:
    command = [sys.executable, str(BENCHMARKS / "cpu.py"), "--worker-env", "A=B"]
    done = subprocess.run(command, stderr=subprocess.PIPE, encoding="utf-8")
    assert done.returncode == 2
    assert "name it by --class" in done.stderr
