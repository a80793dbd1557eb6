"""Figures of cells, and whether they reach what was aimed at."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lag import percentile

Cells = Mapping[str, Mapping[str, Any]]
OURS = "resift"
TARGET_DOCUMENTS = 100


def middle(values: Iterable[float]) -> float:
    """The median."""
    return float(statistics.median(values))


def of_part(cells: Cells, part: str, shape: str | None = None) -> Iterator[Mapping[str, Any]]:
    """The cells of a part, and of a shape."""
    for cell in cells.values():
        if cell.get("part") == part and shape in (None, cell["shape"]):
            yield cell


def shapes_of(cells: Cells) -> list[str]:
    """The shapes that have cells, in the order measured."""
    return list(dict.fromkeys(cell["shape"] for cell in cells.values() if "shape" in cell))


def ours(cell: Mapping[str, Any]) -> str | None:
    """The row of resift that others are compared with: its first."""
    return next((name for name in cell["systems"] if name.startswith(OURS)), None)


def pairs_a_second(cell: Mapping[str, Any], name: str) -> float:
    """Of the median round."""
    return float(cell["pairs"]) / middle(cell["systems"][name]["seconds"])


def milliseconds(cell: Mapping[str, Any], name: str, share: float | None = None) -> float:
    """The median of its calls, or the percentile ``share``."""
    seconds = cell["systems"][name]["seconds"]
    return 1000 * (middle(seconds) if share is None else percentile(seconds, share))


def rate_share(cell: Mapping[str, Any], name: str, rate: float) -> float:
    """The share of a rate, counting what the layers need without any padding."""
    seconds = cell["systems"][name]["seconds"]
    return middle(flop / each / rate for flop, each in zip(cell["flop"], seconds, strict=False))


def floor(cell: Mapping[str, Any], rate: float) -> float:
    """Milliseconds of the operations alone, at a rate."""
    return 1000 * middle(cell["flop"]) / rate


def times_as_fast(cell: Mapping[str, Any], name: str, other: str) -> float:
    """How many times as fast as ``other``: the median of rounds, each on the same texts."""
    mine, theirs = (cell["systems"][each]["seconds"] for each in (name, other))
    return middle(b / a for a, b in zip(mine, theirs, strict=False))


@dataclass(frozen=True)
class Target:
    """What was aimed at, and how it is computed; the least of a shape's cells counts."""

    name: str
    part: str
    figure: Callable[[Mapping[str, Any], float], float | None]
    bound: float
    unit: str
    at_most: bool = False

    def of(self, cells: Cells, shape: str, rate: float) -> float | None:
        """The figure for a shape; ``None`` where it wasn't measured."""
        found = [self.figure(cell, rate) for cell in of_part(cells, self.part, shape)]
        known = [each for each in found if each is not None]
        return (max if self.at_most else min)(known) if known else None

    def said(self, figure: float | None) -> str:
        """The figure, and whether the target is met."""
        if figure is None:
            return "not measured"
        met = figure <= self.bound if self.at_most else figure >= self.bound
        shown = f"{figure:.0%}" if self.unit == "%" else f"{figure:.2f} {self.unit}".strip()
        return f"{shown}: {'met' if met else 'not met'}"


def _against(system: str) -> Callable[[Mapping[str, Any], float], float | None]:
    def figure(cell: Mapping[str, Any], _: float) -> float | None:
        mine = ours(cell)
        theirs = next((name for name in cell["systems"] if name.startswith(system)), None)
        return times_as_fast(cell, mine, theirs) if mine and theirs else None

    return figure


def _share(cell: Mapping[str, Any], rate: float) -> float | None:
    mine = ours(cell)
    return rate_share(cell, mine, rate) if mine else None


def _latency(cell: Mapping[str, Any], _: float) -> float | None:
    mine = ours(cell)
    if cell["pairs"] != TARGET_DOCUMENTS or mine is None:
        return None
    return milliseconds(cell, mine)


TARGETS = (
    Target("≥ 3 × FlagEmbedding, both as they come", "defaults", _against("FlagEmbedding"), 3, "×"),
    Target("≥ 3 × FlagEmbedding's best", "throughput", _against("FlagEmbedding"), 3, "×"),
    Target(
        "≥ 1.5 × sentence-transformers' best",
        "throughput",
        _against("sentence-transformers"),
        1.5,
        "×",
    ),
    Target("≥ 45 % of the rate", "throughput", _share, 0.45, "%"),
    Target("100 × 256 tokens in ≤ 25 ms", "latency", _latency, 25, "ms", at_most=True),
)


def best_passes(cells: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """For each size of passes, its time by that of the fastest size: the mean over cells."""
    shares: dict[str, list[float]] = {}
    for cell in cells:
        times = {name: milliseconds(cell, name) for name in cell["systems"]}
        for name, each in times.items():
            shares.setdefault(name, []).append(each / min(times.values()))
    return {name: statistics.fmean(found) for name, found in shares.items()}
