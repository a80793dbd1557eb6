"""The driver: makes what is missing, measures, writes the tables. Needs Python alone."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path
from typing import Any

from environments import EXPORT, HERE, ROOT, Environments, note
from report import report
from systems import DEFAULT, REFERENCE, SHAPES, System, find_system
from workers import Worker, WorkerError
from workloads import COUNTS, LENGTHS, request

MIN_ROUNDS = 3
# What the quick run measures.
_QUICK_SHAPES = ["MiniLM-L6"]
_QUICK_CELLS = [("short", 10), ("mixed", 20), ("full", 10)]
# Thread pools spin a little after their work, which the next system should not have to bear.
_PAUSE = 0.05
_FIRST_RANKING = request("short", 10, 0)


def main() -> None:
    """Measure and write."""
    options = _arguments()
    systems = {name: find_system(name) for name in options.systems}
    environments = Environments(options.envs)
    skipped: dict[str, str] = {}
    for name, system in list(systems.items()):
        try:
            environments.make(system.environment)
        except (subprocess.CalledProcessError, OSError) as error:
            _skip(skipped, name, f"its environment can't be made: {error}")
            del systems[name]
    models = _prepare(environments, options.shapes, systems)
    reference = environments.make(REFERENCE.environment)
    results: dict[str, Any] = {
        "machine": f"{_processor()}, {platform.system()}",
        "threads": options.threads,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": _command(),
        "ceiling": {},
        "cells": [],
        "skipped": skipped,
        "notes": [],
        "systems": {
            name: {
                "precision": system.precision,
                "ours": system.ours,
                "versions": environments.versions(system.environment),
                "installed": environments.installed_size(system.environment),
                "import_seconds": 0.0,
                "cold_start": {},
                "memory": {},
                "agreement": {},
            }
            for name, system in systems.items()
        },
    }
    _measure_imports(environments, systems, results["systems"], options.starts)
    idle = Idle()
    _measure_ceiling(reference, results["ceiling"], options)
    for shape in options.shapes:
        run = ShapeRun(shape, environments, systems, models[shape], results, idle, options)
        run.measure()
        _measure_ceiling(reference, results["ceiling"], options)
    results["idle_share"] = idle.share()
    results["systems"] = {
        name: system for name, system in results["systems"].items() if system["memory"]
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "cpu.json").write_text(json.dumps(results), encoding="utf-8")
    (options.out / "cpu.md").write_text(report(results), encoding="utf-8")
    _run(reference, "plots.py", str(options.out / "cpu.json"), str(options.out))
    note(f"written: {options.out / 'cpu.md'}")


class Idle:
    """How much processor time the workers use that are not asked."""

    def __init__(self) -> None:
        self._used: dict[str, float] = {}
        self._waited: dict[str, float] = {}

    def add(self, name: str, used: float, waited: float) -> None:
        """One worker's, while another worked."""
        self._used[name] = self._used.get(name, 0.0) + used
        self._waited[name] = self._waited.get(name, 0.0) + waited

    def share(self) -> float:
        """Of one processor, that of the busiest worker."""
        shares = [self._used[name] / self._waited[name] for name in self._used]
        return max(shares, default=0.0)


class ShapeRun:
    """All cells of one model, with one worker for each system."""

    def __init__(
        self,
        shape: str,
        environments: Environments,
        systems: dict[str, System],
        model: Path,
        results: dict[str, Any],
        idle: Idle,
        options: argparse.Namespace,
    ) -> None:
        self._shape, self._systems, self._model = shape, systems, model
        self._environments, self._idle, self._options = environments, idle, options
        self._results = results
        self._workers: dict[str, Worker] = {}

    def measure(self) -> None:
        """Start the workers, fill the results, end the workers."""
        with ExitStack() as stack:
            self._measure_starts(stack)
            reference = self._start(REFERENCE)
            stack.callback(reference.close)
            expected = self._expected_scores(reference)
            for kind, count in self._options.cells:
                self._measure_cell(kind, count, reference, expected)

    def _start(self, system: System) -> Worker:
        python = self._environments.make(system.environment)
        log = self._environments.folder / f"{system.name}.log"
        return Worker(system, python, self._model, self._options.threads, log)

    def _measure_starts(self, stack: ExitStack) -> None:
        """Cold starts, alternating; the last worker of each system stays."""
        seconds: dict[str, list[float]] = {name: [] for name in self._systems}
        for number in range(self._options.starts):
            for name, system in self._systems.items():
                if name in self._results["skipped"]:
                    continue
                try:
                    worker = self._start(system)
                    worker.rank(*_FIRST_RANKING)
                except WorkerError as error:
                    reason = str(error).replace(str(self._model), self._shape)
                    _skip(self._results["skipped"], name, reason)
                    continue
                seconds[name].append(worker.since_start())
                if number < self._options.starts - 1:
                    worker.close()
                else:
                    self._workers[name] = worker
                    stack.callback(worker.close)
        for name, worker in self._workers.items():
            measured = self._results["systems"][name]
            measured["cold_start"][self._shape] = statistics.median(seconds[name])
            measured["memory"][self._shape] = {"loaded": worker.loaded["now"], "peak": 0}

    def _expected_scores(self, reference: Worker) -> dict[str, list[float]]:
        """The reference's, of the most documents of each kind in the warm-up round."""
        note(f"{self._shape}: reference scores …")
        most: dict[str, int] = {}
        for kind, count in self._options.cells:
            most[kind] = max(count, most.get(kind, 0))
        return {
            kind: reference.rank(*request(kind, count, 0))["scores"] for kind, count in most.items()
        }

    def _measure_cell(
        self, kind: str, count: int, reference: Worker, expected: dict[str, list[float]]
    ) -> None:
        note(f"{self._shape}: {kind} ×{count} …")
        for name, answer in self._round(kind, count, 0).items():
            self._compare(name, answer["scores"], expected[kind])
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in self._workers}
        lengths: list[list[int]] = []
        start = time.perf_counter()
        for number in range(1, self._options.rounds + 1):
            late = time.perf_counter() - start > self._options.cell_seconds
            if late and number > MIN_ROUNDS:
                break
            lengths.append(reference.lengths(*request(kind, count, number)))
            for name, answer in self._round(kind, count, number).items():
                self._results["systems"][name]["memory"][self._shape]["peak"] = answer["memory"][
                    "peak"
                ]
                if answer["tokens"] != sum(lengths[-1]):
                    self._note(f"{name} reads other tokens than the reference ({kind} documents)")
                runs[name].append({key: answer[key] for key in _KEPT})
        self._results["cells"].append(
            {
                "shape": self._shape,
                "kind": kind,
                "count": count,
                "lengths": lengths,
                "systems": {name: {"runs": runs[name]} for name in self._workers},
            }
        )

    def _round(self, kind: str, count: int, number: int) -> dict[str, dict[str, Any]]:
        """One ranking by each system, each round beginning with another."""
        query, documents = request(kind, count, number)
        names = list(self._workers)
        first = number % max(1, len(names))
        answers: dict[str, dict[str, Any]] = {}
        for name in names[first:] + names[:first]:
            before = self._used()
            start = time.perf_counter()
            try:
                answers[name] = self._workers[name].rank(query, documents)
            except WorkerError as error:
                self._note(f"{name} ended at {self._shape}, {kind} ×{count}: {error}")
                del self._workers[name]
                continue
            waited = time.perf_counter() - start
            for other, used in self._used().items():
                if other != name:
                    self._idle.add(other, used - before[other], waited)
            time.sleep(_PAUSE)
        return answers

    def _used(self) -> dict[str, float]:
        return {name: worker.processor_seconds() for name, worker in self._workers.items()}

    def _compare(self, name: str, scores: Sequence[float], expected: Sequence[float]) -> None:
        if len(scores) < len(expected):
            return
        agreement = self._results["systems"][name]["agreement"]
        so_far = agreement.get(self._shape, {"tau": 1.0, "top": 10})
        agreement[self._shape] = {
            "tau": min(so_far["tau"], kendall_tau(scores, expected)),
            "top": min(so_far["top"], len(_first_ten(scores) & _first_ten(expected))),
        }

    def _note(self, text: str) -> None:
        if text not in self._results["notes"]:
            note(text)
            self._results["notes"].append(text)


_KEPT = ("seconds", "tokenize", "infer", "tokens", "padded_tokens")


def kendall_tau(scores: Sequence[float], expected: Sequence[float]) -> float:
    """1 for the same order, -1 for the opposite; a tie counts as neither."""
    signs = [
        ((scores[a] > scores[b]) - (scores[a] < scores[b]))
        * ((expected[a] > expected[b]) - (expected[a] < expected[b]))
        for a, b in combinations(range(len(scores)), 2)
    ]
    return sum(signs) / len(signs)


def _first_ten(scores: Sequence[float]) -> set[int]:
    return set(sorted(range(len(scores)), key=lambda index: -scores[index])[:10])


def _prepare(
    environments: Environments, shapes: Sequence[str], systems: dict[str, System]
) -> dict[str, Path]:
    """The models' folders; each step but ours is made once."""
    used = {system.environment for system in systems.values()}
    steps = {"reference": REFERENCE.environment}
    if any(system.ours for system in systems.values()):
        steps["resift"] = EXPORT
    for backend in ("onnx", "openvino"):
        name = f"sentence-transformers-{backend}"
        if name in used:
            steps[name] = name
    models = {}
    for shape in shapes:
        models[shape] = environments.folder / "models" / shape
        for step, environment in steps.items():
            # Ours is the one that changes.
            if step == "resift" or not (models[shape] / f"{step}.json").exists():
                note(f"making the model {shape} for {step} …")
                _run(environments.make(environment), "prepare.py", step, str(models[shape]), shape)
    return models


def _measure_ceiling(
    python: Path, ceiling: dict[str, dict[str, float]], options: argparse.Namespace
) -> None:
    """Between the others, and the best of all: a machine is not equally fast all the time."""
    note("measuring matrix products …")
    seconds = 0.2 if options.quick else 2.0
    measured = json.loads(_run(python, "ceiling.py", str(options.threads), str(seconds)))
    for precision, engines in measured.items():
        best = ceiling.setdefault(precision, {})
        for engine, rate in engines.items():
            best[engine] = max(rate, best.get(engine, 0.0))


def _measure_imports(
    environments: Environments,
    systems: dict[str, System],
    results: dict[str, Any],
    repetitions: int,
) -> None:
    """Alternating."""
    note("measuring imports …")
    seconds: dict[str, list[float]] = {system.environment: [] for system in systems.values()}
    one_of_each = {system.environment: system for system in systems.values()}
    for _ in range(repetitions):
        for environment, system in one_of_each.items():
            seconds[environment].append(environments.import_seconds(system))
    for name, system in systems.items():
        results[name]["import_seconds"] = statistics.median(seconds[system.environment])


def _run(python: Path, script: str, *arguments: str) -> str:
    """A script's standard output; raises ``CalledProcessError`` with its errors shown."""
    command = [str(python), str(HERE / script), *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    if done.returncode != 0:
        note(done.stderr)
        done.check_returncode()
    return done.stdout


def _skip(skipped: dict[str, str], name: str, reason: str) -> None:
    # The first sentence; the rest is advice.
    skipped[name] = reason.splitlines()[0].split(". ")[0]
    note(f"skipped: {name}: {skipped[name]}")


def _command() -> str:
    """What was typed, without the folders, which are nobody else's."""
    words = ["python", "benchmarks/cpu.py"]
    given = iter(sys.argv[1:])
    for word in given:
        if word in ("--envs", "--out"):
            next(given)
        elif not word.startswith(("--envs=", "--out=")):
            words.append(word)
    return shlex.join(words)


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/cpu.py", description="Rerankers on one CPU: one run, alternating."
    )
    parser.add_argument("--quick", action="store_true", help="one model, three kinds of requests")
    parser.add_argument("--systems", nargs="+", default=DEFAULT, help=f"of: {', '.join(DEFAULT)}")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, help="models; default: all")
    parser.add_argument("--kinds", nargs="+", choices=LENGTHS, help="documents; default: all")
    parser.add_argument("--counts", nargs="+", type=int, help=f"candidates; default: {COUNTS}")
    parser.add_argument("--rounds", type=int, help="at most, for each cell; default 30, quick 5")
    parser.add_argument(
        "--cell-seconds", type=float, help="no new round after; default 90, quick 10"
    )
    parser.add_argument("--starts", type=int, help="cold starts; default 5, quick 1")
    parser.add_argument("--threads", type=int, default=_processors(), help="for each system")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results")
    parser.add_argument("--envs", type=Path, default=ROOT / ".cache/bench", help="kept there")
    options = parser.parse_args()
    quick = options.quick
    options.shapes = options.shapes or (_QUICK_SHAPES if quick else list(SHAPES))
    options.rounds = options.rounds or (5 if quick else 30)
    options.cell_seconds = options.cell_seconds or (10.0 if quick else 90.0)
    options.starts = options.starts or (1 if quick else 5)
    if options.rounds < 1 or options.starts < 1:
        parser.error("--rounds and --starts must be at least 1")
    cells = [
        (kind, count) for kind in options.kinds or LENGTHS for count in options.counts or COUNTS
    ]
    if quick and not options.kinds and not options.counts:
        cells = _QUICK_CELLS
    # Small first, so that the peak of memory is that of the cells so far.
    options.cells = sorted(cells, key=lambda cell: sum(LENGTHS[cell[0]]) * cell[1])
    options.envs, options.out = options.envs.resolve(), options.out.resolve()
    return options


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


if __name__ == "__main__":
    main()
