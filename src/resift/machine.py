"""The machine: the CPUs available to the process, and the abilities of its processor."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from resift.backends.choice import int8_saturates, lacking


@dataclass(frozen=True, slots=True)
class Processor:
    """The abilities of a processor, as far as the choice of weights depends on them."""

    features: frozenset[str]
    """Names of its instruction sets, as numpy spells them, such as ``"AVX512VNNI"``."""
    lacking: Callable[[str, str], str | None]
    """Takes a backend and a precision; returns why it can't run there, or ``None`` if it can."""
    int8_saturates: Callable[[], bool]
    """Whether exact int8 needs slower instructions, unless sums of two products fit 16 bits."""


@cache
def processor() -> Processor:
    """Return this machine's processor. Nothing else in resift inspects the processor.

    Its features are read at once. What a backend computes on it is tested when it first matters,
    because that imports the backend.
    """
    return Processor(_features(), cache(lacking), int8_saturates)


def _features() -> frozenset[str]:
    # numpy has no public name for these. Should the private one move, weights made for one kind of
    # processor are ignored, and those for any processor are used.
    private = getattr(getattr(np, "_core", None), "_multiarray_umath", None)
    known = getattr(private, "__cpu_features__", {})
    return frozenset(name for name, there in known.items() if there)


def available_threads() -> int:
    """The number of CPUs that affinity and the cgroup's quota leave to this process, at least 1.

    A container limited to two CPUs on a large host still sees all of the host's cores in
    ``os.cpu_count()``; that many threads would mostly wait for a CPU.
    """
    if hasattr(os, "sched_getaffinity"):
        affinity = len(os.sched_getaffinity(0))
    else:
        affinity = os.cpu_count() or 1
    return max(1, math.ceil(min(affinity, _cgroup_quota(Path("/")))))


def _cgroup_quota(root: Path) -> float:
    """The number of CPUs that control groups allow, or infinity; ``root`` is the root folder.

    Linux, Documentation/admin-guide/cgroup-v2.rst (``cpu.max``) and
    scheduler/sched-bwc.rst (``cpu.cfs_quota_us``).
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return math.inf
    quota = math.inf
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / ("sys/fs/cgroup/cpu" if controllers else "sys/fs/cgroup")
        folder = mount / group.lstrip("/")
        # A limit may be set on any ancestor; inside a container the path may be the host's.
        for level in (folder, *folder.parents):
            if not level.is_relative_to(mount):
                break
            quota = min(quota, _limit_v1(level) if controllers else _limit_v2(level))
    return quota


def _limit_v2(folder: Path) -> float:
    try:
        limit, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return math.inf
    return math.inf if limit == "max" else int(limit) / int(period)


def _limit_v1(folder: Path) -> float:
    try:
        limit = int((folder / "cpu.cfs_quota_us").read_text(encoding="utf-8"))
        period = int((folder / "cpu.cfs_period_us").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return math.inf
    return limit / period if limit > 0 else math.inf
