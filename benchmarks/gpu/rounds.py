"""Choosing the fastest setting of each contender, and measuring all by turns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reasons import UnavailableError, in_short
from rerankers import Contender, Setting

_ENOUGH = 0.5
"""Seconds after which a setting isn't tried again."""
_TRIES = 3


@dataclass
class Chosen:
    """A contender's fastest setting, or ``None`` where none ran."""

    setting: Setting | None
    tried: list[dict[str, Any]] = field(default_factory=list)
    """Each with its ``setting``, and ``seconds`` or the reason why it ``failed``."""

    @property
    def reason(self) -> str:
        """Why none ran: the reasons, each once."""
        return "; ".join(dict.fromkeys(each["failed"] for each in self.tried if "failed" in each))


def choose(
    contender: Contender,
    run: Callable[[Setting], object],
    clock: Callable[[], float],
    until: float = math.inf,
) -> Chosen:
    """Run each setting, and keep the fastest.

    Short runs are repeated, and the fastest counts, so that what happens once alone isn't held
    against anybody. After ``until`` nothing is tried, once one has run.
    """
    chosen, best = Chosen(None), math.inf
    for setting in contender.settings:
        if chosen.setting is not None and clock() >= until:
            chosen.tried.append({"setting": str(setting), "failed": "no time was left to try it"})
            continue
        try:
            seconds = _fastest(lambda setting=setting: run(setting), clock)  # type: ignore[misc]
        # Libraries have their own exceptions for what they can't do, and none ends the run.
        except Exception as error:
            chosen.tried.append({"setting": str(setting), "failed": reason(error)})
            continue
        chosen.tried.append({"setting": str(setting), "seconds": seconds})
        if seconds < best:
            chosen.setting, best = setting, seconds
    return chosen


def _fastest(run: Callable[[], object], clock: Callable[[], float]) -> float:
    best, spent = math.inf, 0.0
    for _ in range(_TRIES):
        start = clock()
        run()
        seconds = clock() - start
        best, spent = min(best, seconds), spent + seconds
        if spent >= _ENOUGH:
            break
    return best


@dataclass
class Turns:
    """The seconds of each system in each round that counts."""

    seconds: dict[str, list[float]]
    failed: dict[str, str] = field(default_factory=dict)
    """Systems that raised, and why; they have no seconds."""


def by_turns(
    systems: Mapping[str, Callable[[int], object]],
    rounds: int,
    clock: Callable[[], float],
    until: float = math.inf,
) -> Turns:
    """Run each system once a round, each round beginning with another.

    Systems get the number of the round. One round comes before those that count. After ``until``,
    no round begins but the first that counts.
    """
    turns = Turns({name: [] for name in systems})
    names = list(systems)
    for number in range(rounds + 1):
        if number > 1 and clock() >= until:
            break
        for at in range(len(names)):
            name = names[(at + number) % len(names)]
            if name in turns.failed:
                continue
            start = clock()
            try:
                systems[name](number)
            except Exception as error:
                turns.failed[name] = reason(error)
                del turns.seconds[name]
                continue
            if number:
                turns.seconds[name].append(clock() - start)
    return turns


def reason(error: Exception) -> str:
    """Why something failed, in short."""
    if isinstance(error, UnavailableError):
        return str(error)
    return in_short(f"{type(error).__name__}: {error}")


def part(lengths: Sequence[int], flop: Callable[[Sequence[int]], float], enough: float) -> int:
    """How many of the first pairs have ``enough`` operations; at least 8, if there are so many."""
    count, done = 0, 0.0
    for length in lengths:
        if count >= 8 and done >= enough:
            break
        done += flop([length])
        count += 1
    return count
