"""Milliseconds of rankings, side by side: the ways to rank take turns at each query."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from resift.machine import available_threads, processor
from resift.ranking import Ranking

Way = Callable[[str], Ranking]
"""Takes a query's id and ranks its candidates."""

# Instruction sets that products of matrices are fast with.
_TELLING = ("AVX2", "AVX512F", "AVX512VNNI", "AVX512_BF16", "AVXVNNI", "AMX_INT8", "ASIMDDP", "SVE")


@dataclass(frozen=True, slots=True)
class Timed:
    """The time that one way to rank took, and its rankings."""

    milliseconds: float
    """The median over the queries."""
    slow: float
    """Of the queries, 90 % took at most this."""
    rankings: Mapping[str, Ranking]
    """By query."""


def alternate(
    ways: Mapping[str, Way], queries: Sequence[str], done: Callable[[], None] = lambda: None
) -> dict[str, Timed]:
    """Time each way on each query, by turns, after a warm-up; ``done`` is called after each."""
    for way in ways.values():
        for query in queries[:1]:
            way(query)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    rankings: dict[str, dict[str, Ranking]] = {name: {} for name in ways}
    for query in queries:
        for name, way in ways.items():
            start = time.perf_counter()
            rankings[name][query] = way(query)
            seconds[name].append(time.perf_counter() - start)
            done()
    return {
        name: Timed(1000 * median(each), 1000 * slow(each), rankings[name])
        for name, each in seconds.items()
        if each
    }


def slow(seconds: Sequence[float]) -> float:
    """The least time that 90 % of ``seconds`` took at most."""
    return sorted(seconds)[math.ceil(0.9 * len(seconds)) - 1]


def machine() -> dict[str, str | int | list[str]]:
    """Name the kind of processor, its instruction sets, and the threads that may be used."""
    features = processor().features
    return {
        "processor": platform.machine(),
        "instructions": [each for each in _TELLING if each in features],
        "system": platform.system(),
        "threads": available_threads(),
    }
