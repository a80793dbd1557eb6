"""One model's cells: its systems take turns."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from agreement import kendall_tau, same_first_ten
from environments import Environments, note
from reasons import UnavailableError, in_short
from results import Results
from systems import REFERENCE, System
from workers import Worker
from workloads import request

_MIN_ROUNDS = 3
# Thread pools spin a little after their work, which the next system should not have to bear.
_PAUSE = 0.05
_FIRST_RANKING = request("short", 10, 0)
_KEPT = ("seconds", "tokenize", "infer", "tokens", "padded_tokens")


class Idle:
    """How much processor time the workers use that are not asked."""

    def __init__(self) -> None:
        self._used: dict[str, float] = {}
        self._waited: dict[str, float] = {}

    def add(self, name: str, used: float, waited: float) -> None:
        """One worker's, while another worked."""
        self._used[name] = self._used.get(name, 0.0) + used
        self._waited[name] = self._waited.get(name, 0.0) + waited

    def share(self) -> float | None:
        """Of one processor, that of the busiest worker; nothing where none is known."""
        shares = [self._used[name] / self._waited[name] for name in self._used]
        return max(shares, default=None)


class ShapeRun:
    """All cells of one model, with one worker for each system."""

    def __init__(
        self,
        shape: str,
        environments: Environments,
        systems: dict[str, System],
        model: Path,
        results: Results,
        idle: Idle,
        options: argparse.Namespace,
    ) -> None:
        self._shape, self._systems, self._model = shape, systems, model
        self._environments, self._idle, self._options = environments, idle, options
        self._results = results
        self._measured = results.content["systems"]
        self._workers: dict[str, Worker] = {}

    def measure(self) -> None:
        """Start the workers, fill the results, end the workers.

        Raises ``UnavailableError`` where the reference can't go on: nothing can be held against it.
        """
        with ExitStack() as stack:
            reference = self._start(REFERENCE)
            stack.callback(reference.close)
            self._measure_starts(stack)
            expected = self._expected_scores(reference)
            for kind, count in self._options.cells:
                if self._workers:
                    self._measure_cell(kind, count, reference, expected)

    def _start(self, system: System) -> Worker:
        return Worker(
            system,
            self._environments.make(system.environment),
            self._model,
            threads=self._options.threads,
            variables=self._environments.variables,
            patience=self._options.patience,
            log=self._environments.folder / f"{system.name}.log",
        )

    def _measure_starts(self, stack: ExitStack) -> None:
        """Cold starts, alternating; the last worker of each system stays."""
        seconds: dict[str, list[float]] = {name: [] for name in self._systems}
        for number in range(self._options.starts):
            for name in list(seconds):
                try:
                    worker = self._start(self._systems[name])
                    worker.rank(*_FIRST_RANKING)
                except UnavailableError as error:
                    self._results.leave_out(name, str(error), self._shape)
                    del seconds[name]
                    continue
                seconds[name].append(worker.since_start())
                if number < self._options.starts - 1:
                    worker.close()
                else:
                    self._workers[name] = worker
                    stack.callback(worker.close)
        for name, worker in self._workers.items():
            measured = self._measured[name]
            measured["cold_start"][self._shape] = statistics.median(seconds[name])
            loaded = worker.loaded.get("now")
            measured["memory"][self._shape] = {"loaded": loaded, "peak": None}

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
            if late and number > _MIN_ROUNDS:
                break
            lengths.append(reference.lengths(*request(kind, count, number)))
            for name, answer in self._round(kind, count, number).items():
                memory = self._measured[name]["memory"][self._shape]
                memory["peak"] = answer["memory"].get("peak")
                if answer["tokens"] != sum(lengths[-1]):
                    self._results.note(
                        f"{name} reads other tokens than the reference ({kind} documents)"
                    )
                runs[name].append({key: answer[key] for key in _KEPT})
        self._results.content["cells"].append(
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
            except UnavailableError as error:
                reason = f"from {kind} ×{count} on: {in_short(str(error))}"
                self._results.leave_out(name, reason, self._shape)
                del self._workers[name]
                continue
            waited = time.perf_counter() - start
            for other, used in self._used().items():
                if other != name:
                    self._idle.add(other, used - before[other], waited)
            time.sleep(_PAUSE)
        return answers

    def _used(self) -> dict[str, float]:
        used = {name: worker.processor_seconds() for name, worker in self._workers.items()}
        return {name: seconds for name, seconds in used.items() if seconds is not None}

    def _compare(self, name: str, scores: Sequence[float], expected: Sequence[float]) -> None:
        if len(scores) < len(expected):
            return
        agreement = self._measured[name]["agreement"]
        so_far = agreement.get(self._shape, {"tau": 1.0, "top": 10})
        agreement[self._shape] = {
            "tau": min(so_far["tau"], kendall_tau(scores, expected)),
            "top": min(so_far["top"], same_first_ten(scores, expected)),
        }
