"""The driver: scenarios by turns on one or two checkouts, then the tables. Needs Python alone."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import arguments
import load_arguments
import processor
from environments import HERE as CPU
from environments import ROOT, Environments, Here, note
from load_report import report
from reasons import UnavailableError, ended, in_short
from scenarios import MIXES
from sides import Side, other_side, this_side
from systems import REFERENCE, find_system

_FOLDER = Path(__file__).resolve().parent
_PLOT_SECONDS = 300.0
_COUNT = 16


def main() -> int:
    """Measure and write; 1 where nothing could be measured."""
    options = load_arguments.parse(sys.argv[1:])
    kind = Here if options.here else Environments
    environments = kind(options.envs, {"PYTHONPATH": _python_path(CPU)})
    if not options.processor_class:
        options.processor_class, _ = environments.look()
    sides = [this_side()]
    if options.against:
        try:
            sides.append(other_side(options.against, options.envs))
        except UnavailableError as error:
            note(f"--against: {error}")
            return 2
    results: dict[str, Any] = {
        "class": options.processor_class,
        "processor": processor.name(),
        "system": platform.system(),
        "model": options.model,
        "threads": options.threads,
        "rounds": options.rounds,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": arguments.command(sys.argv[1:], "load.py"),
        "sides": {side.name: side.revision for side in sides},
        "rates": {},
        "runs": [],
        "failed": [],
    }
    run = Run(options, environments, sides, results)
    run.measure()
    out = (options.out or ROOT / "benchmarks/results" / options.processor_class).resolve()
    _write(results, out, environments)
    return 0 if results["runs"] else 1


def _python_path(*folders: Path) -> str:
    return os.pathsep.join(filter(None, [*map(str, folders), os.environ.get("PYTHONPATH")]))


def _write(results: dict[str, Any], out: Path, environments: Environments) -> None:
    out.mkdir(parents=True, exist_ok=True)
    data = out / "load.json"
    data.write_text(json.dumps(results) + "\n", encoding="utf-8")
    (out / "load.md").write_text(report(results), encoding="utf-8")
    words = (str(data), str(out / "load.svg"))
    plots = str(_FOLDER / "load_plots.py")
    try:
        environments.run(REFERENCE.environment, plots, *words, seconds=_PLOT_SECONDS)
    except UnavailableError as error:
        note(f"no plots: {error}")
    note(f"written: {out / 'load.md'}")


class Run:
    """All rounds; ``results`` is the JSON that they go into."""

    def __init__(
        self,
        options: argparse.Namespace,
        environments: Environments,
        sides: list[Side],
        results: dict[str, Any],
    ) -> None:
        self._options, self._sides, self._results = options, sides, results
        self._python = environments.make(find_system("resift-onnx-int8").environment)
        self._variables = environments.variables

    def measure(self) -> None:
        """Rates first, which both sides are given; then round by round, the sides by turns."""
        options = self._options
        if "open" in options.scenarios:
            for mix in MIXES:
                settings = {"scenario": "capacity", "mix": mix, "count": _COUNT}
                settings |= {"model": options.model, "threads": options.threads}
                figures = self._figures(self._sides[0], settings)
                if figures:
                    self._results["rates"][mix] = figures["rate"]
        for number in range(options.rounds):
            for settings in load_arguments.scenarios(options, self._results["rates"]):
                order = self._sides if number % 2 == 0 else self._sides[::-1]
                for side in order:
                    self._run(side, number, settings)

    def _run(self, side: Side, number: int, settings: dict[str, Any]) -> None:
        # Drift is a matter of the engine, and takes long.
        if settings["scenario"] == "drift" and number:
            return
        figures = self._figures(side, settings | {"seed": number})
        if figures:
            run = {"side": side.name, "round": number, "settings": settings, "figures": figures}
            self._results["runs"].append(run)

    def _figures(self, side: Side, settings: dict[str, Any]) -> dict[str, Any] | None:
        variables = self._variables | {"PYTHONPATH": _python_path(side.source, CPU)}
        words = [str(_FOLDER / "load_worker.py"), settings["scenario"], json.dumps(settings)]
        with tempfile.TemporaryFile() as log:
            try:
                done = subprocess.run(
                    [str(self._python), *words],
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=variables,
                    encoding="utf-8",
                    timeout=self._options.patience,
                )
                reason = "" if done.returncode == 0 else ended(done.returncode)
            except subprocess.TimeoutExpired:
                reason = f"took longer than {self._options.patience:.0f} s"
            log.seek(0)
            errors = log.read().decode("utf-8", "replace")
        if reason:
            note(errors[-2000:])
            last = in_short(errors.strip().splitlines()[-1]) if errors.strip() else reason
            self._results["failed"].append({"side": side.name, "settings": settings, "why": last})
            return None
        note(f"{side.name}: {_shown(settings)}")
        figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return figures


def _shown(settings: dict[str, Any]) -> str:
    left_out = ("model", "threads", "seed", "seconds", "count")
    return " ".join(f"{key}={value}" for key, value in settings.items() if key not in left_out)


if __name__ == "__main__":
    sys.exit(main())
