"""What can be said on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cases import CASES
from environments import ROOT
from systems import SHAPES, System, find_system

# Each library as it comes: those that ship int8 in int8, the others in float32.
DEFAULT = [
    "resift-onnx-int8",
    "flashrank-int8",
    "sentence-transformers-torch-fp32",
    "fastembed-fp32",
    "flag-embedding-fp32",
    "rerankers-transformers-fp32",
]
_FULL = {"documents": 1000, "calls": 10_000, "long_call": 12_000}
_QUICK = {"documents": 100, "calls": 1000, "long_call": 12_000}


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The options; ``settings`` are the cases' numbers, ``systems`` come by name."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/hostile.py", description="Rerankers in hostile conditions."
    )
    add = parser.add_argument
    add("--case", nargs="+", dest="cases", choices=CASES, default=list(CASES), help="default: all")
    add("--system", nargs="+", dest="systems", default=DEFAULT, help=f"of: {', '.join(DEFAULT)}")
    add("--quick", action="store_true", help="fewer documents and calls")
    add("--calls", type=int, help=f"of the case drift; default {_FULL['calls']}")
    add("--documents", type=int, help=f"of the case memory; default {_FULL['documents']}")
    add("--shape", choices=SHAPES, help="of the model; default: the case's")
    add("--memory", type=float, default=4.0, help="GiB, resident, for one process; default 4")
    add("--patience", type=float, default=1.0, help="times the cases' limits of time; default 1")
    add("--here", action="store_true", help="resift alone, of this Python, with a bundled model")
    add("--envs", type=Path, default=ROOT / ".cache/bench", help="kept there")
    add("--out", type=Path, help="default: benchmarks/results/CLASS; other rows there are kept")
    add("--class", dest="processor_class", help="its name; default: this machine's")
    options = parser.parse_args(words)
    options.settings = dict(_QUICK if options.quick else _FULL)
    for name in ("calls", "documents"):
        if getattr(options, name):
            options.settings[name] = getattr(options, name)
    if options.here and options.systems != DEFAULT:
        parser.error("--here runs resift alone: leave out --system")
    try:
        options.systems = _found(options.systems[:1] if options.here else options.systems)
    except ValueError as error:
        parser.error(str(error))
    options.envs = options.envs.resolve()
    return options


def _found(names: Sequence[str]) -> dict[str, System]:
    return {name: find_system(name) for name in names}
