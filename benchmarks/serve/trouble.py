"""What goes wrong in production, done to a server on purpose: figures, and a word for each."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from collections import Counter
from typing import Any

from lag import percentile
from measures import Load, Workload
from posting import Client, Connection, request_of
from servers import Running

Figures = dict[str, Any]
_SHORT = Workload("short", 5)
_SLOW = b"POST /rerank HTTP/1.1\r\nHost: x\r\nX-Slow: "
_MIB = 2**20
_GB = 10**9


def terminated(running: Running, in_flight: int, wait: float) -> Figures:
    """SIGTERM with requests in flight, each on a connection of its own; the server is over then.

    Wanted: 200 or 503 with a body for each, and status 0 within ``wait`` seconds.
    """
    answers, reset, in_work, seconds = asyncio.run(_terminated(running, in_flight))
    start = time.perf_counter()
    status = running.process.wait(wait)
    return {
        "in_flight": in_flight,
        "in_work": in_work,
        "answers": answers,
        "reset": reset,
        "status": status,
        "seconds": seconds + time.perf_counter() - start,
        "right": status == 0 and not reset and set(answers) <= {"200", "503"},
    }


async def _terminated(running: Running, in_flight: int) -> tuple[dict[str, int], int, int, float]:
    opened = [await Connection.open(running.port) for _ in range(in_flight)]
    server = running.server
    drawn = [_SHORT.request(number) for number in range(in_flight)]
    given = [request_of(server.path, server.body(*each)) for each in drawn]
    await asyncio.gather(*(c.send(each) for c, each in zip(opened, given, strict=True)))
    # Those that it has read by then are accepted, and most of them wait.
    in_work = await _in_work(running.port)
    start = time.perf_counter()
    running.process.send_signal(signal.SIGTERM)
    found = await asyncio.gather(*(c.answer() for c in opened), return_exceptions=True)
    statuses: Counter[str] = Counter()
    reset = 0
    for each in found:
        if isinstance(each, BaseException) or not each[1]:
            reset += 1
        else:
            statuses[str(each[0])] += 1
    for connection in opened:
        await connection.close()
    return dict(statuses), reset, in_work, time.perf_counter() - start


async def _in_work(port: int) -> int:
    connection = await Connection.open(port)
    await connection.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    _, body, _ = await connection.answer()
    await connection.close()
    found = re.search(rb"^resift_requests_in_work (\d+)", body, re.MULTILINE)
    return int(found[1]) if found else 0


def slow_heads(running: Running, connections: int, seconds: float) -> Figures:
    """Requests while others send a byte of their heads each half second, for ever.

    Wanted: p95 at most 1.5 times that without them, and no errors.
    """
    return asyncio.run(_slow_heads(running, connections, seconds))


async def _slow_heads(running: Running, connections: int, seconds: float) -> Figures:
    alone = await _latencies(running, seconds)
    slow = [asyncio.create_task(_dribble(running.port)) for _ in range(connections)]
    await asyncio.sleep(0.5)
    beside = await _latencies(running, seconds)
    cut = sum(task.done() for task in slow)
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    p95 = [percentile(each, 0.95) for each in (alone, beside)]
    ratio = p95[1] / p95[0]
    return {"connections": connections, "cut": cut, "p95": p95, "right": ratio <= 1.5}


async def _dribble(port: int) -> None:
    connection = await Connection.open(port)
    try:
        await connection.send(_SLOW)
        while not connection.reader.at_eof():
            await connection.send(b"a")
            await asyncio.sleep(0.5)
    finally:
        await connection.close()


async def _latencies(running: Running, seconds: float) -> list[float]:
    client, server = Client(running.port), running.server
    given = [request_of(server.path, server.body(*_SHORT.request(n))) for n in range(50)]
    found: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        await client.post(given[len(found) % len(given)])
        found.append(time.perf_counter() - start)
        await asyncio.sleep(0.02)
    await client.close()
    return found


def too_much(running: Running) -> list[Figures]:
    """Requests that nobody should send. Wanted: a 4xx with a reason, and the next one is answered.

    ``megabytes`` is by how much the server's resident memory grew.
    """
    texts = json.dumps({"query": "q", "documents": ["a"] * 100_000}).encode()
    cases = {
        "100,000 documents": [texts],
        "a body of 1 GB": [b"a" * _MIB] * (_GB // _MIB),
        "broken JSON": [b'{"query": "q", "documents": ["a"'],
        "wrong types": [b'{"query": 1, "documents": {"a": 2}}'],
        "binary": [bytes(range(256)) * 40],
    }
    return [asyncio.run(_too_much(running, name, parts)) for name, parts in cases.items()]


async def _too_much(running: Running, name: str, parts: list[bytes]) -> Figures:
    before = running.resident()
    connection = await Connection.open(running.port)
    answering = asyncio.create_task(connection.answer())
    head = request_of(running.server.path, b"").replace(
        b"Content-Length: 0", b"Content-Length: %d" % sum(map(len, parts))
    )
    start = time.perf_counter()
    try:
        for part in (head, *parts):
            if answering.done():
                break
            await connection.send(part)
        status, body, _ = await answering
        said = json.loads(body).get("error")
    except (OSError, EOFError) as error:
        status, said = 0, f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - start
    await connection.close()
    grown = (running.resident() - before) / _MIB
    client = Client(running.port)
    await client.post(request_of(running.server.path, running.server.body(*_SHORT.request(0))))
    await client.close()
    figures = {"case": name, "status": status, "said": str(said), "seconds": seconds}
    right = 400 <= status < 500 and bool(said)
    return figures | {"megabytes": grown, "right": right}


def soaked(running: Running, calls: int) -> Figures:
    """Resident memory after all calls over that after a fifth. Wanted: at most 3 % more."""
    load, first = Load(running.server, running.port, _SHORT), calls // 5
    errors = load.saturated(8, first)["errors"]
    before = running.resident()
    errors += load.saturated(8, calls - first)["errors"]
    growth = running.resident() / before - 1 if before else 0.0
    return {"calls": calls, "growth": growth, "errors": errors, "right": growth < 0.03}
