"""Forks, a process for each device, and what a process leaves behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resift import (
    BackendUnavailableError,
    InvalidRequestError,
    Reranker,
    UnsupportedModelError,
)
from resift.backends.processes import ProcessesBackend
from resift.loading.model import LoadedModel
from resift.scoring.estimator import EarlyExit
from resift.text.batch import Batch

_FORK = """
import os, sys, threading
from concurrent.futures import ThreadPoolExecutor
from resift import Reranker

reranker = Reranker(sys.argv[1], backend={backend!r})
documents = ["good", "bad", "a b"] * 5
expected = reranker.rank("a", documents).results
with ThreadPoolExecutor(4) as pool:
    list(pool.map(lambda _: reranker.rank("a", documents), range(8)))
child = os.fork()
if child == 0:
    if {use}:
        assert reranker.rank("a", documents).results == expected
        with ThreadPoolExecutor(4) as pool:
            for ranking in pool.map(lambda _: reranker.rank("a", documents), range(8)):
                assert ranking.results == expected
    {leave}
_, status = os.waitpid(child, 0)
assert reranker.rank("a", documents).results == expected
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.parametrize("leave", ["os._exit(0)", "sys.exit(0)"])
@pytest.mark.parametrize("use", [True, False], ids=["used", "unused"])
def test_a_forked_child_ranks(tiny: Path, graph_backend: str, leave: str, use: bool) -> None:
    _run(_FORK.format(backend=graph_backend, leave=leave, use=use), tiny)


_FORK_WHILE_LOADING = """
import os, sys, threading
from resift import Reranker
from resift.loading import opening

reranker = Reranker(sys.argv[1])
loading, forked = threading.Event(), threading.Event()
load = opening.load_model
def slow(*arguments):
    loading.set()
    forked.wait()
    return load(*arguments)
opening.load_model = slow
thread = threading.Thread(target=reranker.warm_up)
thread.start()
loading.wait()
child = os.fork()
if child == 0:
    opening.load_model = load
    reranker.rank("a", ["good"])
    os._exit(0)
forked.set()
thread.join()
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_child_forked_while_another_thread_loads_ranks(tiny: Path) -> None:
    _run(_FORK_WHILE_LOADING, tiny)


# Of tokenizers before 0.22.2, in a fork; it goes on without threads, as it should.
_NOTICE = re.compile(
    r"huggingface/tokenizers: The current process just got forked.*?=\(true \| false\)\n", re.DOTALL
)


def _run(program: str, *arguments: Path) -> str:
    """Run a program in a new Python, which must succeed without warnings; returns its output."""
    # From 3.12 on, Python warns of every fork of a program with threads: what some of these do.
    warnings = ["-W", "always::ResourceWarning", "-W", "ignore:This process:DeprecationWarning"]
    done = subprocess.run(
        [sys.executable, *warnings, "-c", program, *map(str, arguments)],
        timeout=60,
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.returncode, _NOTICE.sub("", done.stderr)) == (0, "")
    return done.stdout


def test_several_devices_give_the_same_ranking(tiny: Path) -> None:
    documents = ["good", "bad", "a b", *(f"w{n} a" for n in range(9))] * 3
    options: dict[str, Any] = {"backend": "onnx", "max_batch_tokens": 16, "threads": 2}
    expected = Reranker(tiny, **options).rank("a", documents)
    reranker = Reranker(tiny, devices=["cpu", "cpu"], **options)
    ranking = reranker.rank("a", documents)
    assert ranking.results == expected.results
    assert (ranking.device, ranking.backend) == ("cpu, cpu", "onnx")
    assert reranker.options["devices"] == ["cpu", "cpu"]
    with ThreadPoolExecutor(4) as pool:
        for again in pool.map(lambda _: reranker.rank("a", documents), range(8)):
            assert again.results == expected.results


def loaded(reranker: Reranker) -> LoadedModel:
    assert isinstance(reranker._scorer, EarlyExit)
    return reranker._scorer.loaded


def test_a_killed_process_raises_within_seconds(tiny: Path) -> None:
    reranker = Reranker(tiny, backend="onnx", devices=["cpu", "cpu"], max_batch_tokens=16)
    reranker.warm_up()
    backend = loaded(reranker).backend
    assert isinstance(backend, ProcessesBackend)
    process = backend._idle.get()
    process._process.kill()
    backend._idle.put(process)
    start = time.monotonic()
    for _ in range(2):
        with pytest.raises(BackendUnavailableError, match=r"'cpu'.*ended with exit status"):
            reranker.rank("a", ["good", "bad", "a b", "b"] + [f"w{n}" for n in range(9)])
    assert time.monotonic() - start < 30


def test_a_process_killed_at_work_raises(tiny: Path) -> None:
    backend = ProcessesBackend(
        "onnx",
        tiny / "model.onnx",
        devices=["cpu"],
        precision="fp32",
        threads=1,
        vocabulary_ids=[],
    )
    process = backend._idle.get()
    os.kill(process._process.pid, signal.SIGSTOP)
    backend._idle.put(process)
    batch = Batch(*(np.ones((1, 4), np.int64) for _ in range(3)))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(backend.forward, batch)
        time.sleep(0.2)
        os.kill(process._process.pid, signal.SIGKILL)
        with pytest.raises(BackendUnavailableError, match="exit status -9"):
            waiting.result(timeout=30)


def test_a_failed_load_in_a_process_is_raised(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    options: dict[str, Any] = {"precision": "fp32", "threads": 1, "vocabulary_ids": []}
    with pytest.raises(UnsupportedModelError, match=r"model\.onnx"):
        ProcessesBackend("onnx", tmp_path / "model.onnx", devices=["cpu"], **options)
    with pytest.raises(BackendUnavailableError, match="abacus"):
        ProcessesBackend("onnx", tiny / "model.onnx", devices=["cpu", "abacus"], **options)


_DEVICES = """
import gc, os, sys
from resift import Reranker
from resift.call import Call
from resift.options import RankOptions

reranker = Reranker(sys.argv[1], backend="onnx", devices=["cpu"])
backend = reranker._scorer.loaded.backend
process = backend._idle.get()
backend._idle.put(process)
pid = process._process.pid
"""


def test_processes_end_with_the_program(tiny: Path) -> None:
    pid = int(_run(_DEVICES + "print(pid)", tiny))
    for _ in range(300):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the process is still there")


def test_processes_end_with_their_reranker(tiny: Path) -> None:
    end = """
del reranker, backend, process
gc.collect()
try:
    os.kill(pid, 0)
except ProcessLookupError:
    print("ended")
"""
    assert _run(_DEVICES + end, tiny) == "ended\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_fork_leaves_its_parents_processes_running(tiny: Path) -> None:
    fork = """
expected = reranker.rank("a", ["good", "bad"]).results
del backend, process
child = os.fork()
if child == 0:
    assert reranker.rank("a", ["good", "bad"]).results == expected
    sys.exit(0)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
os.kill(pid, 0)
assert reranker.rank("a", ["good", "bad"]).results == expected
"""
    _run(_DEVICES + fork, tiny)


@pytest.mark.parametrize("devices", ["cpu", [], [""], [0], {"cpu"}])
def test_invalid_devices_are_refused(devices: Any) -> None:
    with pytest.raises(InvalidRequestError, match="devices must be a list"):
        Reranker(devices=devices)
    with pytest.raises(InvalidRequestError, match="device must then"):
        Reranker(device="cpu", devices=["cpu"])


def test_nothing_is_written_and_nothing_phones_home(tiny: Path, tmp_path: Path) -> None:
    program = (
        "import os, sys; from resift import Reranker; Reranker(sys.argv[1]).rank('a', ['good']);"
        "assert 'ORT_DISABLE_TELEMETRY' not in os.environ"
    )
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tiny)],
        env=environment,
        timeout=60,
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.rglob("*")) == []
