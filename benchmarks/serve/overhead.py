"""The same requests to the engine in a process and to the server around it, by turns."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measures import Figures, Load, Workload
from memory import processor_seconds
from posting import Client, request_of
from reasons import UnavailableError
from servers import Running

_TOGETHER = 10
_HERE = Path(__file__).resolve().parent


class Engine:
    """``engine_worker.py`` in a process. It works only while it is asked."""

    def __init__(
        self, python: Path, model: Path, threads: int, variables: Mapping[str, str]
    ) -> None:
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

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

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
    engine: Engine,
    running: Running,
    workload: Workload,
    *,
    callers: int,
    blocks: int,
    seconds: float,
    pairs: int,
) -> Figures:
    """The same requests by turns, in blocks of about so many ``seconds`` each.

    ``one`` has the seconds of each of ``pairs`` requests with one caller, in process and over HTTP.
    ``many`` has the rates of each block with several callers: of the engine by threads and by
    tasks, and over HTTP, with their processor time for a request, and the client's. The first
    block isn't counted.
    """
    rate = engine.ask("threads", workload, count=callers, first=0, callers=callers)["rate"]
    count = callers * max(1, round(rate * seconds / callers))
    many = [_block(engine, running, workload, callers, count, n) for n in range(blocks + 1)]
    one = asyncio.run(_pairs(engine, running, workload, pairs))
    return {"workload": workload.name, "callers": callers, "one": one, "many": many[1:]}


async def _pairs(
    engine: Engine, running: Running, workload: Workload, pairs: int
) -> list[tuple[float, float]]:
    client, server, found = Client(running.port), running.server, []
    # A few at a time: whoever has the processors back begins slowly, in either process.
    for first in range(0, pairs, _TOGETHER):
        numbers = range(first, min(first + _TOGETHER, pairs))
        drawn = [workload.request(number) for number in numbers]
        given = [request_of(server.path, server.body(*each)) for each in drawn]
        inside = engine.ask("alone", workload, count=len(numbers), first=first)["latencies"]
        outside = [await _seconds(client, each) for each in given]
        # The first one waits for a connection, and for all that was put aside.
        found += list(zip(inside, outside, strict=True))[1:]
    await client.close()
    return found


async def _seconds(client: Client, given: bytes) -> float:
    start = time.perf_counter()
    await client.post(given)
    return time.perf_counter() - start


def _block(
    engine: Engine, running: Running, workload: Workload, callers: int, count: int, number: int
) -> Figures:
    load = Load(running.server, running.port, workload)
    rates: Figures = {"processor": {}}

    def over_http() -> None:
        before = processor_seconds(running.process.pid)
        found = load.saturated(callers, count)
        rates["http"], rates["errors"] = found["rate"], len(found["errors"])
        rates["client"] = found["client_seconds"] / len(found["latencies"])
        _used(rates, "http", running.process.pid, before, count)

    def in_process() -> None:
        for by in ("threads", "tasks"):
            before = processor_seconds(engine.pid)
            rates[by] = engine.ask(by, workload, count=count, first=0, callers=callers)["rate"]
            _used(rates, by, engine.pid, before, count)

    for work in (over_http, in_process) if number % 2 else (in_process, over_http):
        work()
    return rates


def _used(rates: Figures, by: str, process: int, before: float | None, count: int) -> None:
    """Note the processor time of a request, where the system tells."""
    after = processor_seconds(process)
    if before is not None and after is not None:
        rates["processor"][by] = (after - before) / count
