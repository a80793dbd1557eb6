"""The driver: each case by each system, in a process of its own. Needs Python alone."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import hostile_arguments
import limits
import processor
from cases import CASES, Case
from environments import HERE as CPU
from environments import ROOT, Environments, Here, note
from hostile_report import report
from models import Models
from network import OFFLINE
from processes import TERMINATED
from reasons import UnavailableError, ended, in_short, without_folders
from subject import Outcome
from systems import REFERENCE, System
from watching import Ended, watched

_FOLDER = Path(__file__).resolve().parent
_END_SECONDS = 3.0
_POISON_SECONDS = 300.0


def main() -> int:
    """Run and write; 1 where a row of ours isn't right, or none could be run."""
    options = hostile_arguments.parse(sys.argv[1:])
    kind = Here if options.here else Environments
    environments = kind(options.envs, {"PYTHONPATH": _python_path()})
    if not options.processor_class:
        options.processor_class, _ = environments.look()
    out = (options.out or ROOT / "benchmarks/results" / options.processor_class).resolve()
    results = _earlier(out / "hostile.json") | {
        "class": options.processor_class,
        "processor": processor.name(),
        "cpus": os.cpu_count(),
        "system": platform.system(),
        "memory": options.memory,
    }
    run = Run(options, environments, results)
    with ExitStack() as stack:
        run.limit(stack)
        for case in options.cases:
            for system in options.systems.values():
                run.cell(case, system)
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1, ensure_ascii=False)
    (out / "hostile.json").write_text(text + "\n", encoding="utf-8")
    (out / "hostile.md").write_text(report(results), encoding="utf-8")
    note(f"written: {out / 'hostile.md'}")
    ours = [cell["word"] for cell in run.cells if cell["system"].startswith("resift")]
    return 0 if run.cells and all(word in ("right", "left out") for word in ours) else 1


def _python_path() -> str:
    # Where this Python has resift from, with --here; the environments have their own.
    return os.pathsep.join(filter(None, [str(CPU), os.environ.get("PYTHONPATH")]))


def _earlier(path: Path) -> dict[str, Any]:
    if path.exists():
        earlier: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return earlier
    return {"cells": [], "how": {}, "packages": {}}


class Run:
    """All cells of one run; ``results`` is the JSON that they go into."""

    def __init__(
        self, options: argparse.Namespace, environments: Environments, results: dict[str, Any]
    ) -> None:
        self.cells: list[dict[str, Any]] = []
        self._options, self._environments, self._results = options, environments, results
        self._models = Models(environments, options.processor_class, keep=True)
        self._cpu = self._net = limits.Limit("", possible=False)
        self._folders: dict[tuple[str, str, bool], Path] = {}

    def limit(self, stack: ExitStack) -> None:
        """Find out how this system takes CPUs and the network away."""
        self._cpu, self._net = stack.enter_context(limits.one_cpu()), limits.no_network()
        self._results["how"] |= {"one-cpu": self._cpu.said, "offline": self._net.said}

    def cell(self, name: str, system: System) -> None:
        """One case by one system; its outcome goes into the results."""
        case = CASES[name]
        limit = self._cpu if case.one_cpu else self._net if case.offline else limits.Limit("")
        facts: dict[str, Any] = {}
        if not limit.possible:
            outcome = Outcome("left out", limit.said)
        else:
            try:
                outcome, facts = self._run(name, system, limit)
            except UnavailableError as error:
                outcome = Outcome("left out", in_short(str(error)))
        outcome = replace(outcome, note=without_folders(outcome.note))
        note(f"{name}: {system.name}: {outcome.word}: {outcome.note}")
        cell = {"case": name, "system": system.name, **outcome.as_json(), **facts}
        cell |= {"shape": self._shape(case), "settings": self._options.settings}
        cell["here"] = self._options.here
        cell["date"] = datetime.datetime.now(datetime.UTC).date().isoformat()
        self.cells.append(cell)
        others = [
            each
            for each in self._results["cells"]
            if (each["case"], each["system"]) != (name, system.name)
        ]
        self._results["cells"] = [*others, cell]

    def _run(
        self, name: str, system: System, limit: limits.Limit
    ) -> tuple[Outcome, dict[str, Any]]:
        case, options = CASES[name], self._options
        python = self._environments.make(system.environment)
        self._results["packages"][system.name] = self._versions(system)
        model = self._model(case, system)
        command = [*limit.prefix, str(python), str(_FOLDER / "runner.py"), name, system.adapter]
        settings = json.dumps(options.settings)
        command += [str(model), json.dumps(self._given(system)), settings]
        variables = {**self._environments.variables, **limit.variables}
        if case.offline:
            variables = {key: value for key, value in variables.items() if key not in OFFLINE}
        with tempfile.TemporaryDirectory() as folder:
            found = watched(
                command,
                variables,
                seconds=case.seconds * options.patience,
                bytes_=int(options.memory * 2**30),
                log=Path(folder, "log"),
            )
            if not found.lines and not found.limit:
                note(Path(folder, "log").read_text(encoding="utf-8", errors="replace")[-2000:])
        facts = {"seconds": found.seconds, "peak": found.peak, "status": found.status}
        return _judged(case, found, options), facts

    def _given(self, system: System) -> dict[str, str]:
        options = dict(system.options)
        return options | {"folder": "", "backend": "auto"} if self._options.here else options

    def _shape(self, case: Case) -> str:
        return "resift-small" if self._options.here else self._options.shape or case.shape

    def _model(self, case: Case, system: System) -> Path:
        """The folder of its model, made where it isn't there."""
        key = (self._shape(case), system.made_by, case.poisoned)
        if key not in self._folders:
            folder = self._plain_model(key[0], system)
            if case.poisoned:
                target = self._environments.folder / "poisoned" / folder.name
                words = (str(_FOLDER / "poison.py"), str(folder), str(target))
                self._environments.run(REFERENCE.environment, *words, seconds=_POISON_SECONDS)
                folder = target
            self._folders[key] = folder
        return self._folders[key]

    def _plain_model(self, shape: str, system: System) -> Path:
        if self._options.here:
            return ROOT / "src/resift/bundled" / shape
        failures = self._models.failures(shape, [system.made_by])
        if failures:
            raise UnavailableError(failures[system.made_by])
        return self._models.folder(shape)

    def _versions(self, system: System) -> dict[str, str]:
        found = self._environments.versions(system.environment)
        wanted = {system.name.split("-")[0], "flagembedding", "sentence_transformers"}
        wanted |= {"torch", "onnxruntime", "tokenizers", "transformers"}
        return {name: version for name, version in sorted(found.items()) if name in wanted}


def _judged(case: Case, found: Ended, options: argparse.Namespace) -> Outcome:
    """What the process said of itself, or how it ended."""
    if found.limit == "time":
        return Outcome("hung", f"not done after {case.seconds * options.patience:.0f} s")
    if found.limit == "memory":
        return Outcome("killed", f"beyond {options.memory:g} GiB after {found.seconds:.0f} s")
    if found.lines and "word" in found.lines[-1]:
        return Outcome(**found.lines[-1])
    if not case.signalled or not found.lines:
        return Outcome("crashed", ended(found.status))
    after = found.at - found.lines[-1]["signalled"]
    how = f"{ended(found.status)}, {after:.1f} s after the signal"
    right = found.status == TERMINATED and after <= _END_SECONDS
    return Outcome("right" if right else "wrong", how, {"after": after})


if __name__ == "__main__":
    sys.exit(main())
