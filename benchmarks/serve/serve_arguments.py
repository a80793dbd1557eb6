"""What can be said on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from arguments import add_places, fill, processors
from measures import WORKLOADS
from servers import SERVERS

PARTS = ("peers", "overhead", "trouble")
_SHARES = (0.5, 0.75, 0.95)
_QUICK_SHARES = (0.5,)
_NUMBERS: dict[str, tuple[Any, Any]] = {
    "rounds": (2, 1),
    "workload_seconds": (240.0, 60.0),
    "seconds": (10.0, 1.0),
    "arrivals": (12, 2),
    "shares": (_SHARES, _QUICK_SHARES),
    "blocks": (7, 1),
    "block_seconds": (3.0, 0.1),
    "pairs": (60, 3),
    "in_flight": (1000, 50),
    "slow": (500, 20),
    "calls": (10_000, 200),
}


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The options; ``servers`` by name, ``shares`` are rates, of what a server does saturated."""
    parser = argparse.ArgumentParser(prog="benchmarks/serve.py", description="Servers under load.")
    add = parser.add_argument
    named = [each.name for each in WORKLOADS]
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="default: all")
    add("--servers", nargs="+", choices=SERVERS, default=list(SERVERS), help="default: all")
    add("--workloads", nargs="+", choices=named, default=named, help="default: all")
    add("--quick", action="store_true", help="one round, fewer of everything")
    add("--threads", type=int, default=processors(), help="default: the CPUs of this process")
    add("--callers", type=int, default=8, help="of the closed loop; default 8")
    add("--rounds", type=int, help="default 2, quick 1")
    add("--workload-seconds", type=float, help="no further round after; default 240, quick 60")
    add("--seconds", type=float, help="of arrivals at each rate; default 10, quick 1")
    add("--arrivals", type=int, help="at each rate at least; default 12, quick 2")
    add("--shares", nargs="+", type=float, help=f"rates; default {_SHARES}, quick {_QUICK_SHARES}")
    add("--blocks", type=int, help="of the overhead; default 7, quick 1")
    add("--block-seconds", type=float, help="of each way in a block; default 3, quick 0.1")
    add("--pairs", type=int, help="requests of one caller there; default 60, quick 3")
    add("--in-flight", type=int, help="requests when SIGTERM comes; default 1000, quick 50")
    add("--slow", type=int, help="connections with slow heads; default 500, quick 20")
    add("--calls", type=int, help="of the soak; default 10000, quick 200")
    add("--patience", type=float, default=180.0, help="seconds for a server to start")
    add("--model", type=Path, help="a folder as resift exports it, for resift's servers alone")
    add_places(parser)
    options = parser.parse_args(words)
    fill(options, _NUMBERS)
    if options.rounds < 1 or options.blocks < 1:
        parser.error("--rounds and --blocks must be at least 1")
    return options
