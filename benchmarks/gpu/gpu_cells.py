"""One measurement: who takes part, in which setting, how fast, and with how much memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from accelerator import Used
from bench import Bench
from gpu_loads import Load
from gpu_results import Budget
from rerankers import HALVES, RESIFT, Contender, Opening, Setting, contenders
from rounds import by_turns, choose, part, reason

PASSES = (4096, 8192, 16_384, 32_768, 65_536, 131_072)
"""Tokens of one forward pass, to choose the default from."""
_PHASES = 3
"""Calls whose phases are taken."""
_EXPECTED = {"bf16": 0.25, "fp32": 0.5}
"""The share of the measured rate at which is estimated how long something takes."""


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    pairs: int = 1000
    counts: tuple[int, ...] = (100, 50, 10)
    """Documents of 256 tokens of a request whose latency is measured."""
    rounds: int = 5
    calls: int = 20
    """Rounds of a latency."""
    cell_seconds: float = 15.0
    """No round begins later, but for the first."""
    try_seconds: float = 0.7
    """About as long a setting is tried, at a fifth of the measured rate."""


@dataclass(frozen=True)
class Cell:
    """What is measured at once: some contenders on the same loads."""

    shape: str
    part: str
    kind: str
    pairs: int
    rounds: int
    contenders: tuple[Contender, ...]

    @property
    def name(self) -> str:
        """Unique in a file."""
        return f"{self.shape}, {self.part}, {self.pairs} × {self.kind}"


def cells(name: str, bench: Bench, parts: Sequence[str], effort: Effort) -> Iterator[Cell]:
    """The cells of a shape, the most wanted first."""
    device = bench.device.name
    best, default = (contenders(bench.shape, each, device) for each in ("best", "default"))
    kinds = ("mixed", "512")
    if "throughput" in parts:
        for kind in kinds:
            yield Cell(name, "throughput", kind, effort.pairs, effort.rounds, tuple(best))
    if "latency" in parts:
        for count in effort.counts:
            yield Cell(name, "latency", "256", count, effort.calls, tuple(best))
    if "sweep" in parts:
        precision = HALVES[0] if bench.device.is_gpu else "fp32"
        swept = tuple(
            Contender(f"{each:,}", (Setting(Opening(RESIFT, precision, max_batch_tokens=each)),))
            for each in PASSES
        )
        yield Cell(name, "sweep", "mixed", effort.pairs, effort.rounds, swept)
        yield Cell(name, "sweep", "256", effort.counts[0], effort.calls, swept)
    if "defaults" in parts:
        for kind in kinds:
            yield Cell(name, "defaults", kind, effort.pairs, effort.rounds, tuple(default))


def measure(
    cell: Cell, bench: Bench, rates: Mapping[str, float], effort: Effort, budget: Budget
) -> dict[str, Any] | str:
    """Measure a cell; returns it for the file, or why there is no time for it."""
    loads = [bench.load(cell.kind, cell.pairs, seed) for seed in (1, 2, 3)]
    tried = loads[0].first(
        part(loads[0].lengths, bench.shape.flop, effort.try_seconds * rates["bf16"] / 5)
    )
    lacking = budget.lacks(_needed(cell, bench, rates, loads[0], tried))
    if lacking:
        return lacking
    chosen = {}
    for each in cell.contenders:
        # Each has as long as the others, however long those took; to be loaded is part of it.
        until = budget.until(4 * effort.cell_seconds)
        chosen[each.name] = choose(each, lambda one: bench.score(one, tried), budget.clock, until)
    settings = {name: one.setting for name, one in chosen.items() if one.setting is not None}
    memory: dict[str, Used | None] = {}
    turns = by_turns(
        {
            name: partial(_round, bench, name, setting, loads, memory)
            for name, setting in settings.items()
        },
        cell.rounds,
        budget.clock,
        budget.until(effort.cell_seconds),
    )
    failed = {name: one.reason for name, one in chosen.items() if one.setting is None}
    systems = {}
    for name, seconds in turns.seconds.items():
        systems[name] = {
            "setting": str(settings[name]),
            "seconds": seconds,
            "tried": chosen[name].tried,
            **_memory(bench, settings[name], memory.get(name)),
            **_asked(bench, cell, settings[name], loads[0]),
        }
    counted = range(1, 1 + max((len(each) for each in turns.seconds.values()), default=0))
    used = [loads[number % len(loads)] for number in counted]
    return {
        "shape": cell.shape,
        "part": cell.part,
        "kind": cell.kind,
        "pairs": cell.pairs,
        "around": bench.around,
        "tokens": [sum(load.lengths) for load in used],
        "flop": [bench.shape.flop(load.lengths) for load in used],
        "systems": systems,
        "failed": failed | turns.failed,
    }


def _needed(cell: Cell, bench: Bench, rates: Mapping[str, float], load: Load, tried: Load) -> float:
    """About how many seconds a cell takes at least: opening, choosing, and two rounds."""
    whole, some = (bench.shape.flop(each.lengths) for each in (load, tried))
    seconds = 0.0
    for contender in cell.contenders:
        for setting in contender.settings:
            seconds += some / _rate(setting, rates)
        seconds += 2 * whole / _rate(contender.settings[0], rates)
        # A gigabyte a second.
        seconds += len({each.opening.precision for each in contender.settings}) * (
            bench.shape.bytes / 1e9
        )
    return seconds


def _rate(setting: Setting, rates: Mapping[str, float]) -> float:
    precision = "bf16" if setting.opening.precision in HALVES else "fp32"
    return _EXPECTED[precision] * rates[precision]


def _round(
    bench: Bench,
    name: str,
    setting: Setting,
    loads: Sequence[Load],
    memory: dict[str, Used | None],
    number: int,
) -> None:
    run: Callable[[], object] = partial(bench.score, setting, loads[number % len(loads)])
    if number:
        run()
    else:
        _, memory[name] = bench.device.watched(run)


def _memory(bench: Bench, setting: Setting, used: Used | None) -> dict[str, int]:
    if used is None:
        return {}
    weights = bench.weights(setting.opening)
    return {"weights": weights, "peak": used.peak, "reserved": used.reserved}


def _asked(bench: Bench, cell: Cell, setting: Setting, load: Load) -> dict[str, Any]:
    """Where the time goes, and how far scores are from float32's: where that can be said."""
    found: dict[str, Any] = {}
    calls = [bench.phases(setting, load) for _ in range(_PHASES if cell.part != "sweep" else 0)]
    phases = [each for each in calls if each is not None]
    if phases:
        found["phases"] = {
            name: statistics.median(each.get(name, 0.0) for each in phases) for name in phases[0]
        }
    if cell.part in ("throughput", "defaults") and cell.kind == "mixed":
        try:
            found["off"], found["spread"] = bench.disagreement(setting)
        except Exception as error:
            found["off_failed"] = reason(error)
    return found
