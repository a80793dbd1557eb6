"""What can be said on the command line, and the scenarios that it makes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from arguments import add_places, fill, processors
from scenarios import SCENARIOS

DEADLINES = (50, 100, 300)
_SHARES = (0.3, 0.5, 0.7, 0.85, 1.0, 1.2)
_QUICK_SHARES = (0.5, 0.9)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The options; ``shares`` are rates of arrival, of what one ``rank_many`` does."""
    parser = argparse.ArgumentParser(prog="benchmarks/load.py", description="Resift under load.")
    add = parser.add_argument
    add("--against", metavar="WHAT", help="a checkout's folder or a revision, measured by turns")
    add("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), help="default: all")
    add("--quick", action="store_true", help="one round, fewer of everything")
    add("--model", default="resift-small", help="a bundled model; default resift-small")
    add("--threads", type=int, default=processors(), help="default: the CPUs of this process")
    add("--rounds", type=int, help="default 3, quick 1")
    add("--seconds", type=float, help="of arrivals at each rate; default 20, quick 2")
    add("--shares", nargs="+", type=float, help=f"rates; default {_SHARES}, quick {_QUICK_SHARES}")
    add("--callers", type=int, help="of the closed loop; default 64, quick 8")
    add("--calls", type=int, help="of the drift; default 10000, quick 400")
    add("--giant", type=int, help="documents of the giant request; default 400, quick 120")
    add("--deadline-calls", type=int, help="for each deadline; default 100, quick 3")
    add("--patience", type=float, default=600.0, help="seconds for one scenario")
    add_places(parser)
    options = parser.parse_args(words)
    fill(options, _NUMBERS)
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


_NUMBERS: dict[str, tuple[Any, Any]] = {
    "rounds": (3, 1),
    "seconds": (20.0, 2.0),
    "shares": (_SHARES, _QUICK_SHARES),
    "callers": (64, 8),
    "calls": (10_000, 400),
    "giant": (400, 120),
    "deadline_calls": (100, 3),
}


def scenarios(options: argparse.Namespace, rates: dict[str, float]) -> list[dict[str, Any]]:
    """Every scenario of one round, with its settings; ``rates`` are those of ``rank_many``."""
    made: list[dict[str, Any]] = []
    for mix, by in (("even", "threads"), ("even", "tasks"), ("uneven", "tasks")):
        made += [
            {"scenario": "open", "mix": mix, "by": by, "share": share}
            | {"rate": share * rates[mix], "seconds": options.seconds}
            for share in options.shares
            if mix in rates
        ]
    made += [
        {"scenario": "closed", "kind": kind, "documents": documents, "each": each}
        | {"callers": options.callers}
        for kind, documents, each in (("mixed", 5, 2), ("short", 5, 6))
    ]
    made.append({"scenario": "giant", "giant": options.giant, "small": 10})
    made += [
        {"scenario": "deadline", "deadline_ms": limit, "callers": callers, "documents": 200}
        | {"each": max(1, options.deadline_calls // callers)}
        for limit in DEADLINES
        for callers in (1, 8)
    ]
    made.append({"scenario": "drift", "calls": options.calls, "model": "resift-nano"})
    usual = {"model": options.model, "threads": options.threads}
    return [usual | each for each in made if each["scenario"] in options.scenarios]
