"""The process that measures a system: a failure is said, and it goes on."""

from __future__ import annotations

import json
import subprocess
import sys

from sources import BENCHMARKS, ROOT


def test_a_worker_reports_a_failure_and_continues() -> None:
    words = ["resift", str(ROOT / "src/resift/bundled"), "1"]
    options = {"backend": "onnx", "precision": "fp32", "folder": "resift-nano"}
    requests = [
        {"query": "tide", "documents": [1]},
        {"query": "tide", "documents": ["the tide is low", "a parliament"]},
    ]
    command = [sys.executable, str(BENCHMARKS / "cpu/worker.py"), *words]
    done = subprocess.run(
        [*command, json.dumps(options)],
        input="".join(json.dumps(request) + "\n" for request in requests),
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    _, refused, ranked = map(json.loads, done.stdout.splitlines())
    assert refused["error"].startswith("InvalidRequestError: ")
    assert len(ranked["scores"]) == 2
    done = subprocess.run(
        [*command, json.dumps({**options, "precision": "bf16"})],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert "bf16" in json.loads(done.stdout)["error"]
