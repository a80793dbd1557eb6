"""The driver's end of a worker process."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from memory import processor_seconds
from reasons import UnavailableError, ended
from systems import System

HERE = Path(__file__).resolve().parent


class Worker:
    """A system that is loaded and waits.

    Whatever it is asked, it raises ``UnavailableError`` where it can't answer, has ended, or takes
    longer than ``patience``, in seconds; then it is over.
    """

    def __init__(
        self,
        system: System,
        python: Path,
        model: Path,
        *,
        threads: int,
        variables: Mapping[str, str],
        patience: float,
        log: Path,
    ) -> None:
        command = [str(python), str(HERE / "worker.py"), system.adapter, str(model), str(threads)]
        self._started = time.perf_counter()
        self._patience = patience
        self._log = log.open("a", encoding="utf-8")
        self._process = subprocess.Popen(
            [*command, json.dumps(dict(system.options))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            encoding="utf-8",
            env=dict(variables),
        )
        self.loaded = self._read()["memory"]
        """Memory, in bytes; empty where the system doesn't tell."""

    def rank(self, query: str, documents: list[str]) -> dict[str, Any]:
        """One ranking and what it took."""
        return self._ask(query=query, documents=documents)

    def lengths(self, query: str, documents: list[str]) -> list[int]:
        """Tokens of each pair; the reference alone knows them."""
        lengths: list[int] = self._ask(query=query, documents=documents, lengths=True)["lengths"]
        return lengths

    def since_start(self) -> float:
        """Seconds since the process was started."""
        return time.perf_counter() - self._started

    def processor_seconds(self) -> float | None:
        """What all its threads have used so far, where the system tells."""
        return processor_seconds(self._process.pid)

    def close(self) -> None:
        """End the process and wait for it."""
        # What was not written to one that has ended never will be.
        with suppress(BrokenPipeError):
            _pipe(self._process.stdin).close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _pipe(self._process.stdout).close()
        self._log.close()

    def _ask(self, **request: Any) -> dict[str, Any]:
        with suppress(BrokenPipeError):
            stdin = _pipe(self._process.stdin)
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(self._patience, stop)
        timer.start()
        line = _pipe(self._process.stdout).readline()
        timer.cancel()
        answer: dict[str, Any] = json.loads(line) if line else {}
        if answer and "error" not in answer:
            return answer
        self.close()
        if late.is_set():
            raise UnavailableError(f"took longer than {self._patience:.0f} s")
        raise UnavailableError(answer.get("error") or ended(self._process.returncode))


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
