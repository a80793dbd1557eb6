"""Cases of many calls: threads, tasks, 10,000 in a row, and one that is large."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from lag import loop_lag, percentile
from memory import memory
from subject import Loaded, Outcome, Subject, finite, right, said, same, wrong
from workloads import request

CALLERS = 64
_ROUNDS = 3
_DOCUMENTS = 10
# Beyond this, a loop that serves others is felt to stand still.
_LAG = 0.05
_PERCENTILES = {"p50": 0.5, "p99": 0.99, "most": 1.0}
_DRIFT = 0.02
_WARM = 0.2


def threads(subject: Subject) -> Outcome:
    """64 threads at once, each with its own query."""
    loaded = subject.load()
    requests = [request("short", _DOCUMENTS, number) for number in range(CALLERS)]
    serial = [loaded.scores(*each) for each in requests]
    start = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as pool:
        futures = [pool.submit(loaded.scores, *each) for each in requests * _ROUNDS]
    seconds = time.perf_counter() - start
    errors = [error for error in (future.exception() for future in futures) if error]
    if errors:
        return wrong(f"{len(errors)} of {len(futures)} calls failed: {said(errors[0])}")
    found = [future.result() for future in futures]
    return _compared(found, serial * _ROUNDS, f"in {seconds:.1f} s", seconds=seconds)


def tasks(subject: Subject) -> Outcome:
    """64 asyncio tasks at once."""
    loaded = subject.load()
    requests = [request("short", _DOCUMENTS, number) for number in range(CALLERS)]
    serial = [loaded.scores(*each) for each in requests]
    try:
        found, lags = asyncio.run(_gathered(loaded, requests * _ROUNDS))
    except Exception as error:
        return wrong(f"a call failed: {said(error)}")
    lag = {name: percentile(lags, at) for name, at in _PERCENTILES.items()}
    way = "its own async call" if loaded.is_async else "no async call: asyncio.to_thread"
    late = ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in lag.items())
    note = f"{way}; the loop is late by {late}"
    outcome = _compared(found, serial * _ROUNDS, note, **lag)
    if outcome.word == "right" and lag["p99"] > _LAG:
        return wrong(note, **lag)
    return outcome


async def _gathered(
    loaded: Loaded, requests: list[tuple[str, list[str]]]
) -> tuple[list[list[float]], list[float]]:
    limit = asyncio.Semaphore(CALLERS)

    async def one(query: str, documents: list[str]) -> list[float]:
        async with limit:
            return await loaded.ascores(query, documents)

    async with loop_lag() as lags:
        found = await asyncio.gather(*(one(*each) for each in requests))
    return list(found), lags


def _compared(
    found: list[list[float]], expected: list[list[float]], note: str, **figures: float
) -> Outcome:
    other = sum(not same(a, b) for a, b in zip(found, expected, strict=True))
    if other:
        return wrong(f"{other} of {len(found)} answers differ from the serial ones; {note}")
    return right(f"equal to serial; {note}", **figures)


def drift(subject: Subject) -> Outcome:
    """Many calls in a row, of lengths that come again."""
    loaded = subject.load()
    calls = subject.settings["calls"]
    # Several batch sizes and lengths; each comes often enough before the count begins.
    requests = [request("short", 1 + number % 3, number) for number in range(100)]
    at_first = 0
    for number in range(calls):
        loaded.scores(*requests[number % len(requests)])
        if number + 1 == int(_WARM * calls):
            at_first = memory().get("now", 0)
    if not at_first:
        return Outcome("left out", "this system doesn't tell what memory a process has")
    growth = memory()["now"] / at_first - 1
    note = f"{growth:+.1%} from call {int(_WARM * calls)} to call {calls}"
    return (right if growth <= _DRIFT else wrong)(note, growth=growth)


def large(subject: Subject) -> Outcome:
    """1,000 documents of 512 tokens each."""
    count = subject.settings["documents"]
    query, documents = request("full", count, 1)
    loaded = subject.load()
    before = memory().get("now", 0)
    start = time.perf_counter()
    found = loaded.scores(query, documents)
    seconds = time.perf_counter() - start
    if len(found) != count or not finite(found):
        return wrong(f"{len(found)} scores, of which some aren't numbers or are missing")
    peak = memory().get("peak", 0)
    megabytes = f"{before / 1e6:.0f} → {peak / 1e6:.0f} MB"
    note = f"{count:,} × 512 tokens in {seconds:.0f} s; memory {megabytes}"
    return right(note, seconds=seconds, before=before, peak=peak)
