"""The driver: servers by turns, then the tables. Needs Python alone."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import arguments
import processor
import serve_arguments
from agreement import kendall_tau
from bound import fastest
from environments import HERE as CPU
from environments import ROOT, Environments, Here, note
from measures import WORKLOADS, Load, Workload, scores
from models import Models
from overhead import Engine, overhead
from reasons import UnavailableError
from serve_report import report
from servers import SERVERS, Running, Server, free_port, high_priority
from systems import REFERENCE
from trouble import slow_heads, soaked, terminated, too_much

_FOLDER = Path(__file__).resolve().parent
_SHAPE = "MiniLM-L6"
_PLOT_SECONDS = 300.0
# What is found, in which part.
_FOUND: tuple[tuple[str, str, Callable[[], Any]], ...] = (
    ("runs", "peers", list),
    ("agreement", "peers", dict),
    ("overhead", "overhead", list),
    ("trouble", "trouble", dict),
)
# Requests of one caller, and of each of several.
_ALONE, _SATURATED = 8, 3


def main() -> int:
    """Measure and write; 1 where nothing could be measured."""
    options = serve_arguments.parse(sys.argv[1:])
    kind = Here if options.here else Environments
    path = os.pathsep.join([str(CPU), str(_FOLDER.parent / "load")])
    given = os.environ.get("PYTHONPATH")
    variables = {"PYTHONPATH": os.pathsep.join([path, given] if given else [path])}
    environments = kind(options.envs, variables)
    if not options.processor_class:
        options.processor_class, _ = environments.look()
    results: dict[str, Any] = {
        "class": options.processor_class,
        "processor": processor.name(),
        "system": platform.system(),
        "threads": options.threads,
        "callers": options.callers,
        "rounds": options.rounds,
        "priority": high_priority(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "failed": {},
    }
    out = (options.out or ROOT / "benchmarks/results" / options.processor_class).resolve()
    command = arguments.command(sys.argv[1:], "serve.py")
    results |= _kept(out / "serve.json", options.parts, command)
    # What was measured stays, whatever comes next.
    run = Run(options, environments, results, lambda: _write(results, out))
    for part in options.parts:
        getattr(run, part)()
    _plot(environments, out)
    return 0 if results["runs"] or results["overhead"] or results["trouble"] else 1


def _kept(file: Path, parts: list[str], command: str) -> dict[str, Any]:
    """What each part found before, but for those that are asked for again."""
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    kept: dict[str, Any] = {"commands": before.get("commands", {}) | dict.fromkeys(parts, command)}
    for name, part, none in _FOUND:
        kept[name] = before[name] if part not in parts and name in before else none()
    return kept


def _write(results: dict[str, Any], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "serve.json").write_text(json.dumps(results) + "\n", encoding="utf-8")
    (out / "serve.md").write_text(report(results), encoding="utf-8")
    note(f"written: {out / 'serve.md'}")


def _plot(environments: Environments, out: Path) -> None:
    words = (str(_FOLDER / "serve_plots.py"), str(out / "serve.json"), str(out / "serve.svg"))
    try:
        environments.run(REFERENCE.environment, *words, seconds=_PLOT_SECONDS)
    except UnavailableError as error:
        note(f"no plots: {error}")


class Run:
    """All parts; ``results`` is the JSON that they go into."""

    def __init__(
        self,
        options: argparse.Namespace,
        environments: Environments,
        results: dict[str, Any],
        keep: Callable[[], None],
    ) -> None:
        self._options, self._environments, self._results = options, environments, results
        self._keep = keep
        self._models = Models(environments, options.processor_class, keep=True)
        self._workloads = [each for each in WORKLOADS if each.name in options.workloads]

    def peers(self) -> None:
        """All servers, loaded at once; one is measured while the others stand still."""
        running = {}
        for name in self._options.servers:
            started = self._start(SERVERS[name])
            if started:
                running[name] = started
                started.rest()
        try:
            self._agreement(running)
            for workload in self._workloads:
                self._peers(workload, running)
                self._keep()
        finally:
            for each in running.values():
                each.stop()

    def overhead(self) -> None:
        """The engine in a process beside the server around it."""
        server = SERVERS["resift-int8"]
        with self._one(server) as running:
            if running is None:
                return
            variables = self._environments.variables
            folder, threads = self._folder(server), self._options.threads
            python = self._environments.make(server.environment)
            engine = Engine(python, self._model(server, folder), threads, variables)
            try:
                for workload in self._workloads:
                    found = overhead(
                        engine,
                        running,
                        workload,
                        callers=self._options.callers,
                        blocks=self._options.blocks,
                        seconds=self._options.block_seconds,
                        pairs=self._options.pairs,
                    )
                    self._results["overhead"].append(found)
                    self._keep()
            finally:
                engine.stop()

    def trouble(self) -> None:
        """What a server must stand."""
        options, found = self._options, self._results["trouble"]
        with self._one(SERVERS["resift-int8"]) as running:
            if running is None:
                return
            found["slow"] = slow_heads(running, options.slow, options.seconds)
            note(f"slow heads: {found['slow']}")
            found["too much"] = too_much(running)
            note(f"too much: {found['too much']}")
            found["soak"] = soaked(running, options.calls)
            note(f"soak: {found['soak']}")
            # The last: it ends the server.
            found["term"] = terminated(running, options.in_flight, 60.0)
            note(f"SIGTERM: {found['term']}")
            self._keep()

    def _peers(self, workload: Workload, running: dict[str, Running]) -> None:
        start = time.monotonic()
        for number in range(self._options.rounds):
            if time.monotonic() - start > self._options.workload_seconds:
                break
            rates = self._closed(workload, running, number)
            self._open(workload, {name: running[name] for name in fastest(rates)}, rates, number)

    def _closed(
        self, workload: Workload, running: dict[str, Running], number: int
    ) -> dict[str, float]:
        options, rates = self._options, {}
        for name, each in _turns(running, number):
            with _turn(each):
                load = Load(each.server, each.port, workload, 1000 * number)
                alone = load.alone(4 if options.quick else _ALONE)
                saturated = load.saturated(options.callers, options.callers * _SATURATED)
            self._add(workload, name, number, "alone", alone)
            self._add(workload, name, number, "saturated", saturated)
            rates[name] = saturated["rate"]
        return rates

    def _open(
        self, workload: Workload, running: dict[str, Running], rates: dict[str, float], number: int
    ) -> None:
        options = self._options
        for share in options.shares:
            for name, each in _turns(running, number):
                rate = share * rates[name]
                seconds = max(options.seconds, options.arrivals / rate)
                with _turn(each):
                    load = Load(each.server, each.port, workload, 1000 * number)
                    figures = load.open(rate, seconds, number)
                self._add(workload, name, number, "open", figures | {"share": share})

    def _add(self, workload: Workload, name: str, number: int, what: str, figures: Any) -> None:
        run = {"workload": workload.name, "server": name, "round": number, "what": what}
        self._results["runs"].append(run | {"figures": figures})
        note(f"{workload.name} {name} {what}: {figures['rate']:.2f}/s")

    def _agreement(self, running: dict[str, Running]) -> None:
        """Whether all have the same weights: the order of each beside the first one's in fp32."""
        given = Workload("mixed", 50).request(7)
        found = {}
        for name, each in running.items():
            with _turn(each):
                found[name] = scores(each.server, each.port, given)
        expected = found.get("resift-fp32") or next(iter(found.values()), [])
        self._results["agreement"] = {k: kendall_tau(v, expected) for k, v in found.items()}
        note(f"agreement: {self._results['agreement']}")

    @contextmanager
    def _one(self, server: Server) -> Iterator[Running | None]:
        running = self._start(server)
        try:
            yield running
        finally:
            if running:
                running.stop()

    def _start(self, server: Server) -> Running | None:
        options = self._options
        try:
            folder = self._folder(server)
            python = str(self._environments.make(server.environment))
            port = free_port()
            words = server.words(folder, port, options.threads)
            if options.model:
                words[words.index("--model") + 1] = str(options.model)
            log = options.envs / f"{server.name}.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            variables, patience = self._environments.variables, options.patience
            return Running(
                server, [python, *words], port, variables=variables, log=log, patience=patience
            )
        except UnavailableError as error:
            note(f"{server.name}: {error}")
            self._results["failed"][server.name] = str(error)
            return None

    def _folder(self, server: Server) -> Path:
        if not self._options.model:
            why = self._models.failures(_SHAPE, [server.made_by])
            if why:
                raise UnavailableError(why[server.made_by])
        return self._models.folder(_SHAPE)

    def _model(self, server: Server, folder: Path) -> Path:
        return self._options.model or folder / server.made_by


@contextmanager
def _turn(running: Running) -> Iterator[None]:
    running.turn()
    try:
        yield
    finally:
        running.rest()


def _turns(running: dict[str, Running], number: int) -> list[tuple[str, Running]]:
    found = list(running.items())
    return found if number % 2 == 0 else found[::-1]
