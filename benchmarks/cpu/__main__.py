"""The driver: makes what is missing, measures, writes the tables. Needs Python alone."""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import statistics
import sys
from typing import Any

import arguments
import processor
from environments import ROOT, Environments, note
from measuring import Idle, ShapeRun
from models import Models
from reasons import UnavailableError, in_short, without_folders
from report import report
from results import Results
from systems import REFERENCE, System

_SCRIPT_SECONDS = 300.0


def main() -> int:
    """Measure and write; 1 where nothing could be measured."""
    options = arguments.parse(sys.argv[1:])
    environments = Environments(options.envs, options.worker_env, options.patch)
    found, seen = environments.look()
    options.processor_class = options.processor_class or found
    options.out = (options.out or ROOT / "benchmarks/results" / options.processor_class).resolve()
    results = Results(**_head(options, seen))
    systems = _make_environments(environments, options.systems, results)
    _measure_imports(environments, systems, results, options.starts)
    models = Models(environments, options.processor_class)
    idle = Idle()
    _measure_ceiling(environments, results, options)
    for shape in options.shapes:
        _measure_shape(shape, environments, models, systems, results, idle, options)
        _measure_ceiling(environments, results, options)
    results.finish(idle.share())
    _write(environments, results, options)
    return 0 if results.content["cells"] else 1


def _head(options: argparse.Namespace, seen: dict[str, str]) -> dict[str, Any]:
    simulated = [f"{name}={without_folders(value)}" for name, value in options.worker_env.items()]
    return {
        "class": options.processor_class,
        "simulated": {"variables": simulated, "patch": without_folders(options.patch)},
        "processor": processor.name(),
        "seen": seen,
        "system": platform.system(),
        "threads": options.threads,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": arguments.command(sys.argv[1:]),
    }


def _make_environments(
    environments: Environments, wanted: dict[str, System], results: Results
) -> dict[str, System]:
    """The systems whose environments can be made."""
    systems = {}
    for name, system in wanted.items():
        try:
            environments.make(system.environment)
        except UnavailableError as error:
            results.leave_out(name, str(error))
            continue
        results.add_system(
            name,
            precision=system.precision,
            ours=system.ours,
            versions=environments.versions(system.environment),
            installed=environments.installed_size(system.environment),
        )
        systems[name] = system
    return systems


def _measure_shape(
    shape: str,
    environments: Environments,
    models: Models,
    systems: dict[str, System],
    results: Results,
    idle: Idle,
    options: argparse.Namespace,
) -> None:
    """One model's, by the systems that it could be made for."""
    able = dict(systems)
    failures = models.failures(shape, (system.made_by for system in systems.values()))
    for name, system in systems.items():
        if system.made_by in failures:
            results.leave_out(name, failures[system.made_by], shape)
            del able[name]
    if not able:
        return
    run = ShapeRun(shape, environments, able, models.folder(shape), results, idle, options)
    try:
        run.measure()
    except UnavailableError as error:
        results.note(f"The rest of {shape} is missing: the reference {in_short(str(error))}")


def _measure_ceiling(
    environments: Environments, results: Results, options: argparse.Namespace
) -> None:
    """Between the others, and the best of all: a machine is not equally fast all the time."""
    note("measuring matrix products …")
    seconds = 0.5 if options.quick else 2.0
    words = (str(options.threads), str(seconds))
    try:
        text = environments.run(
            REFERENCE.environment, "ceiling.py", *words, seconds=_SCRIPT_SECONDS
        )
    except UnavailableError as error:
        results.note(f"No matrix products: {in_short(str(error))}")
    else:
        results.add_ceiling(json.loads(text))


def _measure_imports(
    environments: Environments, systems: dict[str, System], results: Results, repetitions: int
) -> None:
    """Alternating."""
    note("measuring imports …")
    seconds: dict[str, list[float]] = {system.environment: [] for system in systems.values()}
    one_of_each = {system.environment: system for system in systems.values()}
    for _ in range(repetitions):
        for environment, system in one_of_each.items():
            try:
                seconds[environment].append(environments.import_seconds(system))
            except UnavailableError as error:
                results.note(f"{system.statement!r} can't be timed: {in_short(str(error))}")
    for name, system in systems.items():
        if seconds[system.environment]:
            median = statistics.median(seconds[system.environment])
            results.content["systems"][name]["import_seconds"] = median


def _write(environments: Environments, results: Results, options: argparse.Namespace) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    data = options.out / "cpu.json"
    data.write_text(json.dumps(results.content), encoding="utf-8")
    words = (str(data), str(options.out))
    try:
        environments.run(REFERENCE.environment, "plots.py", *words, seconds=_SCRIPT_SECONDS)
    except UnavailableError as error:
        results.note(f"No plots: {in_short(str(error))}")
    (options.out / "cpu.md").write_text(report(results.content), encoding="utf-8")
    note(f"written: {options.out / 'cpu.md'}")


if __name__ == "__main__":
    sys.exit(main())
