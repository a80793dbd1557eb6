"""Throughput at equal p95: how much each server does while 95 of 100 answers come in time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from lag import percentile

# The bound is so many times p95 of the slowest server's answers to one caller.
TIMES = 2.0


def bound_of(alone: Mapping[str, Iterable[float]]) -> float:
    """The bound in seconds, the same for all, from each server's latencies with one caller."""
    return TIMES * max((percentile(each, 0.95) for each in alone.values()), default=math.nan)


def within(points: Iterable[tuple[float, float]], bound: float, alone: float) -> float:
    """The highest throughput whose p95 is within a bound.

    ``points`` are throughput and p95 at growing rates, and ``alone`` is p95 of one caller, which
    stands for a rate of 0. Between the last that is within the bound and the first that isn't, log
    p95 is taken as a line.
    """
    last = best = (0.0, alone)
    for throughput, p95 in points:
        if p95 > bound:
            part = math.log(bound / last[1]) / math.log(p95 / last[1])
            return max(best[0], last[0] + part * (throughput - last[0]))
        last = throughput, p95
        best = max(best, last)
    return best[0]


def fastest(rates: Mapping[str, float]) -> set[str]:
    """All servers by their saturated rates, but of the two of FastAPI the faster alone."""
    best = max((name for name in rates if name.startswith("fastapi")), key=rates.get, default="")  # type: ignore[arg-type]
    return {name for name in rates if not name.startswith("fastapi") or name == best}
