"""Threads, forks and limits of the process."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from resift import Reranker
from resift.backends import BACKENDS
from resift.backends.threads import _cgroup_quota, available_threads

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
@pytest.mark.parametrize("backend", list(BACKENDS))
@pytest.mark.parametrize("leave", ["os._exit(0)", "sys.exit(0)"])
@pytest.mark.parametrize("use", [True, False], ids=["used", "unused"])
def test_a_forked_child_works(tiny: Path, backend: str, leave: str, use: bool) -> None:
    pytest.importorskip(BACKENDS[backend].requires)
    if BACKENDS[backend].format != "onnx":
        pytest.skip("the tiny models are ONNX graphs")
    _run(_FORK.format(backend=backend, leave=leave, use=use), tiny)


_FORK_WHILE_LOADING = """
import os, sys, threading
from resift import Reranker
from resift.loading import LoadedModel

reranker = Reranker(sys.argv[1])
loading, forked = threading.Event(), threading.Event()
load = LoadedModel.load
def slow(*arguments):
    loading.set()
    forked.wait()
    return load(*arguments)
LoadedModel.load = slow
thread = threading.Thread(target=reranker.warm_up)
thread.start()
loading.wait()
child = os.fork()
if child == 0:
    LoadedModel.load = load
    reranker.rank("a", ["good"])
    os._exit(0)
forked.set()
thread.join()
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_fork_while_another_thread_loads(tiny: Path) -> None:
    _run(_FORK_WHILE_LOADING, tiny)


def _run(program: str, *arguments: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


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
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.rglob("*")) == []


def test_threads_load_the_model_once(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from resift.loading import LoadedModel

    loads = []
    load = LoadedModel.load

    def count(*arguments: object) -> LoadedModel:
        loads.append(arguments)
        return load(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(LoadedModel, "load", count)
    reranker = Reranker(tiny)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: reranker.rank("a", ["good"]), range(32)))
    assert len(loads) == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_threads_follow_affinity() -> None:
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from resift.backends.threads import available_threads; print(available_threads())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "1", done.stderr
    assert available_threads() >= 1


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_threads_follow_cgroup_v2(tmp_path: Path) -> None:
    root = _write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/kube/pod\n",
            "sys/fs/cgroup/kube/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/kube/pod/cpu.max": "max 100000\n",
        },
    )
    assert _cgroup_quota(root) == 1.5


def test_threads_follow_cgroup_v1(tmp_path: Path) -> None:
    root = _write(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
    )
    assert _cgroup_quota(root) == 2.0


def test_no_cgroup_is_no_limit(tmp_path: Path) -> None:
    assert _cgroup_quota(tmp_path) == math.inf
    root = _write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000"})
    assert _cgroup_quota(root) == math.inf
