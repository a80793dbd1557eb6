"""Callers: an open loop, whose arrivals don't wait for answers, and a closed one, whose callers do.

A latency is counted from when a request should have started, so that no waiting is hidden.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

Request = tuple[str, list[str]]
# More than ever wait at once: who waits in the pool's own queue, waits as well.
_THREADS = 256


@dataclass
class Record:
    """What came of a run: for each request its number and latency, in seconds, in order of end."""

    latencies: list[tuple[int, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def done(self, number: int, due: float) -> None:
        """A request has its answer."""
        self.latencies.append((number, time.perf_counter() - due))

    def failed(self, error: BaseException) -> None:
        """A request has an error in place of an answer."""
        self.errors.append(f"{type(error).__name__}: {error}"[:200])


def poisson(rate: float, seconds: float, seed: int) -> list[float]:
    """Times of arrival from 0 to ``seconds``, ``rate`` a second in the mean; at least one."""
    generator = random.Random(f"arrivals {seed}")
    times: list[float] = []
    at = generator.expovariate(rate)
    while at < seconds or not times:
        times.append(at)
        at += generator.expovariate(rate)
    return times


def open_by_threads(work: Callable[[int], object], times: Sequence[float]) -> Record:
    """Start request ``number`` at ``times[number]``, each in a thread; wait for all."""
    record = Record()

    def one(number: int, due: float) -> None:
        try:
            work(number)
        except Exception as error:
            record.failed(error)
        else:
            record.done(number, due)

    with ThreadPoolExecutor(_THREADS) as pool:
        start = time.perf_counter()
        for number, at in enumerate(times):
            time.sleep(max(0.0, start + at - time.perf_counter()))
            pool.submit(one, number, start + at)
    record.seconds = time.perf_counter() - start
    return record


async def open_by_tasks(work: Callable[[int], Awaitable[object]], times: Sequence[float]) -> Record:
    """The same with a task for each request."""
    record = Record()

    async def one(number: int, due: float) -> None:
        try:
            await work(number)
        except Exception as error:
            record.failed(error)
        else:
            record.done(number, due)

    start = time.perf_counter()
    tasks = []
    for number, at in enumerate(times):
        await asyncio.sleep(max(0.0, start + at - time.perf_counter()))
        tasks.append(asyncio.create_task(one(number, start + at)))
    await asyncio.gather(*tasks)
    record.seconds = time.perf_counter() - start
    return record


def closed_by_threads(work: Callable[[int], object], callers: int, each: int) -> Record:
    """``callers`` threads, each with ``each`` requests one after the other."""
    record = Record()

    def caller(first: int) -> None:
        for number in range(first, callers * each, callers):
            due = time.perf_counter()
            try:
                work(number)
            except Exception as error:
                record.failed(error)
            else:
                record.done(number, due)

    with ThreadPoolExecutor(callers) as pool:
        start = time.perf_counter()
        list(pool.map(caller, range(callers)))
        record.seconds = time.perf_counter() - start
    return record


async def closed_by_tasks(
    work: Callable[[int], Awaitable[object]], callers: int, each: int
) -> Record:
    """The same with tasks."""
    record = Record()

    async def caller(first: int) -> None:
        for number in range(first, callers * each, callers):
            due = time.perf_counter()
            try:
                await work(number)
            except Exception as error:
                record.failed(error)
            else:
                record.done(number, due)

    start = time.perf_counter()
    await asyncio.gather(*(caller(first) for first in range(callers)))
    record.seconds = time.perf_counter() - start
    return record
