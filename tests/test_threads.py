"""Threads that share a model, and how many there may be."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from resift import Reranker
from resift.loading.model import LoadedModel
from resift.machine import _cgroup_quota, available_threads


def test_threads_load_the_model_once(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from resift.loading import opening

    loads = []
    load = opening.load_model

    def count(*arguments: object) -> LoadedModel:
        loads.append(arguments)
        return load(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(opening, "load_model", count)
    reranker = Reranker(tiny)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: reranker.rank("a", ["good"]), range(32)))
    assert len(loads) == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_threads_follow_affinity() -> None:
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from resift.machine import available_threads; print(available_threads())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8")
    assert done.stdout.strip() == "1", done.stderr
    assert available_threads() >= 1


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
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


def test_threads_are_unlimited_without_a_cgroup(tmp_path: Path) -> None:
    assert _cgroup_quota(tmp_path) == math.inf
    root = _write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000"})
    assert _cgroup_quota(root) == math.inf
