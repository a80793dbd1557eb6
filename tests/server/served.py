"""A real server in a process of its own, for tests that look at it from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

_RESIFT = "import sys; from resift.cli.main import main; sys.exit(main())"
_LISTENS = "Uvicorn running on "
_PATIENCE = 60.0


@dataclass
class Served:
    """A running server: ``http`` speaks to it, ``log`` is what it has written so far."""

    http: httpx.Client
    process: subprocess.Popen[bytes]
    log_path: Path

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8")

    def lines(self, logger: str = "") -> list[dict[str, Any]]:
        """The lines of a JSON log, of one logger."""
        whole = self.log.rpartition("\n")[0].splitlines()
        found = [json.loads(line) for line in whole]
        return [line for line in found if line["logger"].startswith(logger)]

    def metrics(self) -> dict[str, float]:
        """Every sample of ``/metrics``, by its name and labels."""
        text = self.http.get("/metrics").text
        rows = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in rows}

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_PATIENCE)


@contextmanager
def serve(folder: Path, *arguments: str, **environment: str) -> Iterator[Served]:
    """Run ``resift serve`` with these arguments, on a free port, and wait until it is ready."""
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", _RESIFT, "serve", "--port", "0", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONUTF8": "1", **environment},
            stderr=stream,
        )
    try:
        url = _address(process, log)
        with httpx.Client(base_url=url, timeout=_PATIENCE, trust_env=False) as http:
            until(lambda: http.get("/health/ready").status_code == 200)
            yield Served(http, process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def until(condition: Any) -> None:
    """Wait for it."""
    end = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < end, "it didn't happen in time"
        time.sleep(0.02)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    def said() -> str:
        return log.read_text(encoding="utf-8")

    until(lambda: _LISTENS in said() or process.poll() is not None)
    assert process.poll() is None, said()
    return said().partition(_LISTENS)[2].split()[0]


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command, cwd=cwd, capture_output=True, encoding="utf-8", timeout=_PATIENCE
    )
