"""What is measured, in which order, and what is left out for time."""

from __future__ import annotations

import argparse
import datetime
import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import arguments
import host_side
from accelerator import Accelerator
from bench import Bench
from environments import ROOT, note
from gpu_cells import Cell, Effort, cells, measure
from gpu_plots import draw
from gpu_report import page
from gpu_results import Budget, Results
from random_models import make_model
from reasons import UnavailableError
from rounds import reason
from shapes import SHAPES, find_shape

from resift import BackendUnavailableError

PARTS = ("host", "throughput", "latency", "sweep", "defaults")
"""In the order in which they are measured; the last one takes longest."""


def main() -> int:
    """Measure and write; returns an exit status."""
    options = _parse(sys.argv[1:])
    if options.page:
        content = json.loads((options.page / "gpu.json").read_text(encoding="utf-8"))
        write_page(content, options.page)
        return 0
    budget = Budget(options.minutes, time.perf_counter)
    lacking = _lacking(options)
    if lacking:
        sys.stdout.write(f"skipped: {lacking}\n")
        return 0
    device = Accelerator(options.device)
    out: Path = options.out or ROOT / "benchmarks/results" / device.folder()
    data = out / "gpu.json"
    if options.fresh:
        data.unlink(missing_ok=True)
    try:
        results = Results(data, device.facts())
    except UnavailableError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    results.began(
        {
            "command": arguments.command(sys.argv[1:], "gpu.py"),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        }
    )
    run(options, results, device, budget)
    write_page(results.content, out)
    note(f"written: {data}")
    return 0


def run(options: argparse.Namespace, results: Results, device: Accelerator, budget: Budget) -> None:
    """Measure what was asked for and isn't there yet, as far as the time allows."""
    if "host" in options.part and "host" not in results.cells:
        note("host")
        results.put("host", host_side.measure(options.pairs, options.rounds))
    wanted = [part for part in PARTS if part in options.part and part != "host"]
    if not wanted:
        return
    results.content["rates"] = device.rates()
    effort = Effort(
        pairs=options.pairs,
        counts=tuple(options.counts),
        rounds=options.rounds,
        calls=options.calls,
        cell_seconds=options.cell_seconds,
        try_seconds=options.try_seconds,
    )
    kept = nullcontext(options.models) if options.models else tempfile.TemporaryDirectory()
    with kept as folder:
        # What takes longest comes when all shapes have the rest.
        for parts in (wanted[:-1], wanted[-1:]) if "defaults" in wanted else (wanted,):
            for name in options.shapes:
                _shape(name, Path(folder) / name, parts, effort, results, device, budget)


def _shape(
    name: str,
    folder: Path,
    parts: Sequence[str],
    effort: Effort,
    results: Results,
    device: Accelerator,
    budget: Budget,
) -> None:
    shape = find_shape(name)
    # Nobody makes gigabytes of weights for cells that are there, or that don't fit any more.
    lacking = budget.lacks(3 * shape.bytes / 1e9)
    if not parts or lacking:
        for part in parts if lacking else ():
            results.leave_out(f"{name}, {part}", str(lacking))
        return
    bench: Bench | None = None
    try:
        make_model(shape, folder, device.name)
        device.clear()
        bench = Bench(name, shape, folder, device, budget.clock)
        for cell in cells(name, bench, parts, effort):
            if cell.name not in results.cells:
                _cell(cell, bench, effort, results, budget)
    # A shape that can't be made or whose device failed leaves the others their turn.
    except Exception as error:
        results.leave_out(name, reason(error))
    finally:
        if bench is not None:
            bench.close()


def _cell(cell: Cell, bench: Bench, effort: Effort, results: Results, budget: Budget) -> None:
    left = f"; {budget.left:.0f} s are left" if budget.left < math.inf else ""
    note(cell.name + left)
    found = measure(cell, bench, results.content["rates"], effort, budget)
    if isinstance(found, str):
        results.leave_out(cell.name, found)
        return
    results.put(cell.name, found)


def write_page(content: dict[str, Any], out: Path) -> None:
    """Write the page and, where matplotlib is, the plot."""
    (out / "gpu.md").write_text(page(content), encoding="utf-8")
    try:
        drawn = draw(content)
    except BackendUnavailableError as error:
        note(str(error))
        return
    if drawn:
        (out / "gpu.svg").write_text(drawn, encoding="utf-8")


def _lacking(options: argparse.Namespace) -> str | None:
    """Why nothing can be measured here, if so."""
    on_gpu = options.device.startswith("cuda")
    if not on_gpu and options.part == ["host"]:
        return None
    missing = [each for each in ("torch", "transformers") if find_spec(each) is None]
    if missing:
        return f"{', '.join(missing)} not installed: pip install resift[torch]"
    import torch

    if on_gpu and not torch.cuda.is_available():
        return "no GPU with CUDA here; --device cpu --out FOLDER tries the program on the CPU"
    return None


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/gpu.py",
        description="Ours and others' rerankers on one GPU. Goes on with what was measured before.",
    )
    add, usual = parser.add_argument, Effort()
    add("--device", default="cuda", help='default: "cuda"')
    add("--part", nargs="+", choices=PARTS, default=list(PARTS), help="default: all")
    add("--shapes", nargs="+", default=list(SHAPES), help="default: all published ones")
    add("--minutes", type=float, help="leave out what doesn't fit; default: as long as it takes")
    add("--out", type=Path, help="default: benchmarks/results/GPU; needed for a CPU")
    add("--page", type=Path, metavar="FOLDER", help="only write the page of its gpu.json again")
    add("--fresh", action="store_true", help="forget what was measured before")
    add("--models", type=Path, help="keep the models there; default: a temporary folder")
    add("--pairs", type=int, default=usual.pairs, help="of a throughput")
    add("--counts", type=int, nargs="+", default=list(usual.counts), help="documents of a latency")
    add("--rounds", type=int, default=usual.rounds, help="at most, of a throughput")
    add("--calls", type=int, default=usual.calls, help="at most, of a latency")
    add("--cell-seconds", type=float, default=usual.cell_seconds, help="no new round after")
    add("--try-seconds", type=float, default=usual.try_seconds, help="for one setting, about")
    options = parser.parse_args(words)
    if not options.device.startswith("cuda") and options.out is None:
        parser.error(f"--device {options.device}: results of no GPU need --out")
    if min(options.rounds, options.calls, options.pairs, *options.counts) < 1:
        parser.error("--rounds, --calls, --pairs and --counts must be at least 1")
    try:
        for name in options.shapes:
            find_shape(name)
    except ValueError as error:
        parser.error(str(error))
    return options
