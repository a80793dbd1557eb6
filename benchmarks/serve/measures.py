"""What is measured of a server: one caller, several, and arrivals at a rate."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from arrivals import Record, Request, closed_by_tasks, open_by_tasks, poisson
from posting import Client, request_of
from servers import Server
from workloads import request

Figures = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """Requests that are alike."""

    kind: str
    documents: int

    @property
    def name(self) -> str:
        """Its name in the tables."""
        return f"{self.documents} {self.kind}"

    def request(self, number: int) -> Request:
        """Another for each number."""
        return request(self.kind, self.documents, number)


WORKLOADS = (Workload("short", 5), Workload("mixed", 20), Workload("mixed", 50))


class Load:
    """Requests of a workload for a server, made beforehand: their making takes no time later."""

    def __init__(self, server: Server, port: int, workload: Workload, first: int = 0) -> None:
        self._server, self._port, self._workload = server, port, workload
        self._first = first

    def alone(self, count: int) -> Figures:
        """One caller."""
        return asyncio.run(self._closed(1, count))

    def saturated(self, callers: int, count: int) -> Figures:
        """Several callers, each with one request after the other."""
        return asyncio.run(self._closed(callers, max(1, count // callers)))

    def open(self, rate: float, seconds: float, seed: int) -> Figures:
        """Poisson arrivals at a rate."""
        times = poisson(rate, seconds, seed)
        figures = asyncio.run(self._open(times))
        seconds = max(figures["seconds"], seconds)
        return figures | {
            "offered": len(times) / seconds,
            "throughput": len(figures["latencies"]) / seconds,
        }

    async def _closed(self, callers: int, each: int) -> Figures:
        given, client = self._given(callers * each), Client(self._port)
        await client.post(given[0])
        start = time.process_time()
        record = await closed_by_tasks(lambda number: client.post(given[number]), callers, each)
        return await _figures(record, client, start)

    async def _open(self, times: Sequence[float]) -> Figures:
        given, client = self._given(len(times)), Client(self._port)
        await client.post(given[0])
        start = time.process_time()
        record = await open_by_tasks(lambda number: client.post(given[number]), times)
        return await _figures(record, client, start)

    def _given(self, count: int) -> list[bytes]:
        server, numbers = self._server, range(self._first, self._first + count)
        drawn = [self._workload.request(number) for number in numbers]
        return [request_of(server.path, server.body(*each)) for each in drawn]


def scores(server: Server, port: int, given: Request) -> list[float]:
    """A server's scores, in the order of the documents."""

    async def ask() -> bytes:
        client = Client(port)
        body = await client.post(request_of(server.path, server.body(*given)))
        await client.close()
        return body

    results = json.loads(asyncio.run(ask()))["results"]
    ordered = sorted(results, key=lambda each: int(each["index"]))
    return [float(each["relevance_score"]) for each in ordered]


async def _figures(record: Record, client: Client, start: float) -> Figures:
    seconds = time.process_time() - start
    await client.close()
    return {
        "seconds": record.seconds,
        "rate": len(record.latencies) / record.seconds,
        "latencies": [latency for _, latency in record.latencies],
        "errors": record.errors,
        "client_seconds": seconds,
    }
