"""What is measured, each in a process of its own: settings in, figures out."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from arrivals import (
    Record,
    Request,
    closed_by_tasks,
    closed_by_threads,
    open_by_tasks,
    open_by_threads,
    poisson,
)
from lag import loop_lag, percentile
from memory import memory
from workloads import request

Settings = dict[str, Any]
Figures = dict[str, Any]
_WARM = 0.2
_COMPARED = 24
_BETWEEN = 0.05
# Later than that, as a share of a deadline, nobody heeds it.
_HEEDLESS = 0.5


def even(number: int) -> tuple[str, Request]:
    """20 documents of 40 to 200 words."""
    return "20 mixed", request("mixed", 20, number)


def uneven(number: int) -> tuple[str, Request]:
    """5 short documents; each tenth request has 100 documents of 40 to 200 words."""
    if number % 10 == 5:
        return "100 mixed", request("mixed", 100, number)
    return "5 short", request("short", 5, number)


MIXES: dict[str, Callable[[int], tuple[str, Request]]] = {"even": even, "uneven": uneven}


def capacity(reranker: Any, settings: Settings) -> Figures:
    """Requests a second of one ``rank_many``, the best of three."""
    requests = [MIXES[settings["mix"]](number)[1] for number in range(settings["count"])]
    reranker.rank_many(requests[:2])
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        reranker.rank_many(requests)
        seconds.append(time.perf_counter() - start)
    return {"rate": len(requests) / min(seconds)}


def open_loop(reranker: Any, settings: Settings) -> Figures:
    """Poisson arrivals at a rate, by threads or by tasks."""
    times = poisson(settings["rate"], settings["seconds"], settings["seed"])
    drawn = [MIXES[settings["mix"]](number) for number in range(len(times))]
    given = [each for _, each in drawn]
    reranker.rank(*given[0])
    if settings["by"] == "threads":
        record = open_by_threads(lambda number: reranker.rank(*given[number]), times)
    else:
        record = asyncio.run(open_by_tasks(lambda number: reranker.arank(*given[number]), times))
    kinds: dict[str, list[float]] = {}
    for number, latency in record.latencies:
        kinds.setdefault(drawn[number][0], []).append(latency)
    done = len(record.latencies)
    return {
        "offered": len(times) / settings["seconds"],
        "throughput": done / max(record.seconds, settings["seconds"]),
        "latencies": kinds,
        "errors": record.errors,
    }


def closed_loop(reranker: Any, settings: Settings) -> Figures:
    """Callers, by threads and by tasks, beside one ``rank_many`` of the same work."""
    count = settings["callers"] * settings["each"]
    given = [request(settings["kind"], settings["documents"], number) for number in range(count)]
    reranker.rank_many(given[:2])
    start = time.perf_counter()
    reranker.rank_many(given)
    together = time.perf_counter() - start
    figures: Figures = {"rate_many": count / together}
    for by in ("threads", "tasks"):
        found: dict[int, list[float]] = {}
        record, lags = _closed(reranker, given, found, settings, by)
        figures[by] = {
            "rate": len(record.latencies) / record.seconds,
            "share": together / record.seconds,
            # Each of so many callers has a request on its way all the time.
            "fair": record.seconds / settings["each"],
            "latencies": [latency for _, latency in record.latencies],
            "errors": record.errors,
            "difference": _difference(reranker, given, found),
            "lags": [percentile(lags, share) for share in (0.5, 0.99, 1.0)] if lags else None,
        }
    return figures


def _closed(
    reranker: Any,
    given: Sequence[Request],
    found: dict[int, list[float]],
    settings: Settings,
    by: str,
) -> tuple[Record, list[float]]:
    def work(number: int) -> None:
        found[number] = _logits(reranker.rank(*given[number]))

    async def awork(number: int) -> None:
        found[number] = _logits(await reranker.arank(*given[number]))

    async def run() -> tuple[Record, list[float]]:
        async with loop_lag() as lags:
            record = await closed_by_tasks(awork, settings["callers"], settings["each"])
        return record, lags

    if by == "tasks":
        return asyncio.run(run())
    return closed_by_threads(work, settings["callers"], settings["each"]), []


def _logits(ranking: Any) -> list[float]:
    return [result.logit for result in sorted(ranking, key=lambda result: result.index)]


def _difference(reranker: Any, given: Sequence[Request], found: dict[int, list[float]]) -> float:
    """The largest difference of a logit from the one in a call by itself, of some requests."""
    differences = [0.0]
    for number in list(found)[:_COMPARED]:
        alone = _logits(reranker.rank(*given[number]))
        differences += [abs(a - b) for a, b in zip(found[number], alone, strict=True)]
    return max(differences)


def beside_giant(reranker: Any, settings: Settings) -> Figures:
    """5 short documents at a time, alone and while 400 are ranked."""
    giant = request("mixed", settings["giant"], 1)
    small = [request("short", 5, number) for number in range(settings["small"])]
    reranker.rank(*small[0])
    alone = [_seconds(reranker, each) for each in small]
    batches: list[float] = []
    running, over = threading.Event(), threading.Event()

    class Watch(import_module("resift").Observer):  # type: ignore[misc]
        def progress(self, done: int, total: int) -> None:  # noqa: ARG002
            if done:
                batches.append(time.perf_counter())
                running.set()

    seconds: list[float] = []

    def rank_giant() -> None:
        seconds.append(_seconds(reranker, giant, observer=Watch()))
        over.set()

    thread = threading.Thread(target=rank_giant)
    thread.start()
    running.wait()
    beside, passed = [], []
    for each in small:
        time.sleep(_BETWEEN)
        start = time.perf_counter()
        latency = _seconds(reranker, each)
        # One that outlasts the giant has waited for less.
        if over.is_set():
            break
        beside.append(latency)
        passed.append(sum(start <= at <= start + latency for at in list(batches)))
    thread.join()
    batch = settings["threads"] * (batches[-1] - batches[0]) / max(1, len(batches) - 1)
    usual = percentile(alone, 0.5)
    return {
        "giant": seconds[0],
        "batches": len(batches),
        "batch": batch,
        "alone": alone,
        "beside": beside,
        "passed": passed,
        "waits": [max(0.0, latency - usual) / batch for latency in beside],
    }


def _seconds(reranker: Any, given: Request, **options: Any) -> float:
    start = time.perf_counter()
    reranker.rank(*given, **options)
    return time.perf_counter() - start


def deadlines(reranker: Any, settings: Settings) -> Figures:
    """Calls that can't be done in their time, by one caller or several."""
    limit = settings["deadline_ms"] / 1000
    given = [request("mixed", settings["documents"], number) for number in range(10)]
    reranker.warm_up()
    for each in given[:3]:
        reranker.rank(*each, max_documents=settings["documents"] // 8)
    overshoots: list[float] = []
    scored: list[float] = []
    statuses: dict[str, int] = {}

    def work(number: int) -> None:
        start = time.perf_counter()
        ranking = reranker.rank(*given[number % len(given)], deadline_ms=settings["deadline_ms"])
        overshoots.append(time.perf_counter() - start - limit)
        scored.append(ranking.counts.scored / ranking.counts.documents)
        statuses[ranking.status] = statuses.get(ranking.status, 0) + 1

    for number in range(2):
        work(number)
    # Where nobody heeds the deadline, two calls show it.
    heeded = min(overshoots) < _HEEDLESS * limit
    if heeded:
        for seen in (overshoots, scored, statuses):
            seen.clear()
    record = closed_by_threads(work, settings["callers"], settings["each"] if heeded else 0)
    return {
        "overshoots": overshoots,
        "scored": scored,
        "statuses": statuses,
        "errors": record.errors,
    }


def drift(reranker: Any, settings: Settings) -> Figures:
    """Memory over many calls, by several callers."""
    calls = settings["calls"]
    given = [request("short", 1 + number % 3, number) for number in range(100)]
    first = int(_WARM * calls)
    closed_by_threads(lambda number: reranker.rank(*given[number % 100]), 8, first // 8)
    before = memory().get("now")
    record = closed_by_threads(
        lambda number: reranker.rank(*given[number % 100]), 8, (calls - first) // 8
    )
    after = memory().get("now")
    growth = None if before is None or after is None else after / before - 1
    return {"growth": growth, "errors": record.errors, "calls": calls}


SCENARIOS: dict[str, Callable[[Any, Settings], Figures]] = {
    "capacity": capacity,
    "open": open_loop,
    "closed": closed_loop,
    "giant": beside_giant,
    "deadline": deadlines,
    "drift": drift,
}
