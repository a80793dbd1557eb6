"""What can be said on the command line."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from environments import ROOT
from reasons import without_folders
from systems import DEFAULT, SHAPES, find_system
from workloads import COUNTS, LENGTHS

# What the quick run measures.
_QUICK_SHAPES = ["MiniLM-L6"]
_QUICK_CELLS = [("short", 10), ("mixed", 20), ("full", 10)]


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The options, complete but for ``out`` and ``processor_class``, which depend on the machine.

    ``systems`` has them by name, ``cells`` kinds and counts of documents, the smallest first, and
    ``worker_env`` names and values.
    """
    parser = _parser()
    options = parser.parse_args(words)
    quick = options.quick
    options.shapes = options.shapes or (_QUICK_SHAPES if quick else list(SHAPES))
    options.rounds = options.rounds or (5 if quick else 30)
    options.cell_seconds = options.cell_seconds or (10.0 if quick else 90.0)
    options.starts = options.starts or (1 if quick else 5)
    if options.rounds < 1 or options.starts < 1:
        parser.error("--rounds and --starts must be at least 1")
    try:
        options.systems = {name: find_system(name) for name in options.systems}
    except ValueError as error:
        parser.error(str(error))
    if not all("=" in each for each in options.worker_env):
        parser.error("--worker-env: expected NAME=VALUE, as often as needed")
    options.worker_env = dict(each.split("=", 1) for each in options.worker_env)
    if (options.worker_env or options.patch) and not options.processor_class:
        parser.error("--worker-env and --patch simulate a class of processors: name it by --class")
    cells = [
        (kind, count) for kind in options.kinds or LENGTHS for count in options.counts or COUNTS
    ]
    if quick and not options.kinds and not options.counts:
        cells = _QUICK_CELLS
    # Small first, so that the peak of memory is that of the cells so far.
    options.cells = sorted(cells, key=lambda cell: sum(LENGTHS[cell[0]]) * cell[1])
    options.envs = options.envs.resolve()
    return options


def command(words: Sequence[str], script: str = "cpu.py") -> str:
    """What was typed, without folders, which are nobody else's."""
    kept = ["python", f"benchmarks/{script}"]
    given = iter(words)
    for word in given:
        if word in ("--envs", "--out"):
            next(given)
        elif not word.startswith(("--envs=", "--out=")):
            kept.append(without_folders(word))
    return shlex.join(kept)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks/cpu.py", description="Rerankers on one CPU: one run, alternating."
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="one model, three kinds of requests")
    add("--systems", nargs="+", default=DEFAULT, help=f"of: {', '.join(DEFAULT)}")
    add("--shapes", nargs="+", choices=SHAPES, help="models; default: all")
    add("--kinds", nargs="+", choices=LENGTHS, help="documents; default: all")
    add("--counts", nargs="+", type=int, help=f"candidates; default: {COUNTS}")
    add("--rounds", type=int, help="at most, for each cell; default 30, quick 5")
    add("--cell-seconds", type=float, help="no new round after; default 90, quick 10")
    add("--starts", type=int, help="cold starts; default 5, quick 1")
    add("--threads", type=int, default=processors(), help="for each system")
    add("--patience", type=float, default=600.0, help="seconds for one answer of a system")
    add("--out", type=Path, help="default: benchmarks/results/CLASS")
    add("--envs", type=Path, default=ROOT / ".cache/bench", help="kept there")
    group = parser.add_argument_group("another class of processors than this machine's")
    group.add_argument("--class", dest="processor_class", help="its name; default: this machine's")
    group.add_argument(
        "--worker-env",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="variables for everything that is measured",
    )
    group.add_argument(
        "--patch",
        default="",
        metavar="COMMAND",
        help="run once on each environment, with its site-packages as the last argument; give such "
        "environments an --envs of their own",
    )
    return parser


def add_places(parser: argparse.ArgumentParser) -> None:
    """Options that say with which packages, where to, and for which class of processors."""
    add = parser.add_argument
    add("--here", action="store_true", help="with this Python's packages")
    add("--envs", type=Path, default=ROOT / ".cache/bench", help="kept there")
    add("--out", type=Path, help="default: benchmarks/results/CLASS")
    add("--class", dest="processor_class", help="its name; default: this machine's")


def fill(options: argparse.Namespace, numbers: Mapping[str, tuple[Any, Any]]) -> None:
    """Give the options that were left out their numbers: in full, and of a quick run."""
    for name, (full, quick) in numbers.items():
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else full)
    options.envs = options.envs.resolve()


def processors() -> int:
    """The CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
