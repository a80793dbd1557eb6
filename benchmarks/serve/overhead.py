"""The same requests to the engine in a process and to the server around it, by turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measures import Figures, Load, Workload
from reasons import UnavailableError
from servers import Running

_HERE = Path(__file__).resolve().parent


class Engine:
    """``engine_worker.py`` in a process. It works only while it is asked."""

    def __init__(self, python: Path, model: Path, threads: int, variables: Mapping[str, str]) -> None:
        command = [str(python), str(_HERE / "engine_worker.py"), str(model), str(threads)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=dict(variables),
        )
        self._read()

    def ask(self, what: str, workload: Workload, **settings: Any) -> Figures:
        """Measure; raises ``UnavailableError`` where it has ended."""
        asked = {"what": what, "kind": workload.kind, "documents": workload.documents, **settings}
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(json.dumps(asked) + "\n")
        stdin.flush()
        return self._read()

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _read(self) -> Figures:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise UnavailableError("the engine's process ended")
        found: Figures = json.loads(line)
        return found


def overhead(
    engine: Engine, running: Running, workload: Workload, *, callers: int, blocks: int, each: int
) -> Figures:
    """Blocks of the same requests by turns; a first one isn't counted.

    ``one`` are pairs of medians in seconds, in process and over HTTP; ``many`` are rates: of the
    engine by threads and by tasks, and over HTTP, with the client's share of the processors.
    """
    one, many = [], []
    for block in range(blocks + 1):
        first = block * each
        load = Load(running.server, running.port, workload, first)
        inside = engine.ask("alone", workload, count=each, first=first)
        outside = load.alone(each)
        rates = {}
        for by in ("threads", "tasks"):
            found = engine.ask(by, workload, count=each * 2, first=first, callers=callers)
            rates[by] = found["rate"]
        found = load.saturated(callers, each * 2)
        rates |= {"http": found["rate"], "errors": len(found["errors"])}
        rates["client"] = found["client_seconds"] / found["seconds"] / _processors()
        if block:
            one.append([statistics.median(x["latencies"]) for x in (inside, outside)])
            many.append(rates)
    return {"workload": workload.name, "callers": callers, "one": one, "many": many}


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
