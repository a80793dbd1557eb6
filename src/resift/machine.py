"""What this machine can do: the CPUs that it lends, and what its processor computes."""

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
    """What a processor can do, as far as the choice of weights depends on it."""

    features: frozenset[str]
    """Its instructions, in numpy's names, such as ``"AVX512VNNI"``."""
    lacking: Callable[[str, str], str | None]
    """For a backend and a precision: why it can't run there, or ``None`` where it can."""
    int8_saturates: Callable[[], bool]
    """Whether int8 takes slower instructions on it, unless sums of two products fit 16 bits."""


@cache
def processor() -> Processor:
    """The processor of this machine. Nothing else in resift asks what it is.

    Its features are read now; what a backend computes on it is tried when it first matters, as
    that imports the backend.
    """
    return Processor(_features(), cache(lacking), int8_saturates)


def _features() -> frozenset[str]:
    # There is no public name for them. Without it, weights made for one kind of processor are left
    # alone, and those for any are taken.
    private = getattr(getattr(np, "_core", None), "_multiarray_umath", None)
    known = getattr(private, "__cpu_features__", {})
    return frozenset(name for name, there in known.items() if there)


def available_threads() -> int:
    """CPUs that the scheduler's affinity and the cgroup's quota leave to this process, at least 1.

    A container limited to two CPUs on a large host still sees all of the host's cores in
    ``os.cpu_count()``; as many threads would spend their time waiting for their turn.
    """
    if hasattr(os, "sched_getaffinity"):
        affinity = len(os.sched_getaffinity(0))
    else:
        affinity = os.cpu_count() or 1
    return max(1, math.ceil(min(affinity, _cgroup_quota(Path("/")))))


def _cgroup_quota(root: Path) -> float:
    """CPUs that the control groups allow, or infinity; ``root`` is the file system's root.

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
