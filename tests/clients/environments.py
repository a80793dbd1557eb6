"""The environments of clients, and processes of them that call clients."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@dataclass(frozen=True)
class Outcome:
    """The result of calling a client, or its error."""

    found: list[tuple[int, float, Any]]
    error: str | None
    """The name of the class of what it raised."""
    message: str
    seconds: float


class Caller:
    """A process of an environment, which calls its clients one at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, client: str, **asked: Any) -> Outcome:
        """Call a client: a function of a module of ``callers``."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"client": client, **asked}) + "\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        found = [(index, score, text) for index, score, text in said.get("found", ())]
        return Outcome(found, said.get("error"), said.get("message", ""), said["seconds"])


def python_of(environment: str) -> Path | None:
    """The Python of an environment; ``None`` unless it has what its requirements say today."""
    home = ROOT / f".venv-clients-{environment}"
    wanted = (HERE / f"{environment}.txt").read_bytes()
    made = home / "requirements.txt"
    if not made.exists() or made.read_bytes() != wanted:
        return None
    return home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@contextmanager
def calling(python: Path, log: Path) -> Iterator[Caller]:
    """A process that calls clients; what they print and log goes to a file."""
    environment = {
        **os.environ,
        "PYTHONUTF8": "1",
        # No look at a newer price list or model.
        "HF_HUB_OFFLINE": "1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "ANONYMIZED_TELEMETRY": "False",
    }
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            [python, HERE / "driver.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            encoding="utf-8",
        ) as process,
    ):
        try:
            yield Caller(process)
        finally:
            assert process.stdin
            process.stdin.close()
            process.wait(30)
