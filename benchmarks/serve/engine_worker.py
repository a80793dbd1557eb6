"""The engine in this process: settings as lines of JSON in, figures out.

    python engine_worker.py MODEL THREADS

Needs resift, and benchmarks/load and benchmarks/cpu on its path.
"""

from __future__ import annotations

import asyncio
import json
import sys
from importlib import import_module
from typing import Any

from arrivals import closed_by_tasks, closed_by_threads
from workloads import request


def main(model: str, threads: str) -> None:
    """Load, then answer until the input ends."""
    reranker = import_module("resift").Reranker(model, threads=int(threads))
    reranker.warm_up()
    _say({"ready": True})
    for line in sys.stdin:
        _say(measure(reranker, json.loads(line)))


def measure(reranker: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """One block of requests, by one caller, or by several in threads or tasks."""
    numbers = range(asked["first"], asked["first"] + asked["count"])
    given = [request(asked["kind"], asked["documents"], number) for number in numbers]
    callers = asked.get("callers", 1)
    each = max(1, len(given) // callers)
    if asked["what"] == "tasks":
        work = closed_by_tasks(lambda number: reranker.arank(*given[number]), callers, each)
        record = asyncio.run(work)
    else:
        record = closed_by_threads(lambda number: reranker.rank(*given[number]), callers, each)
    return {
        "rate": len(record.latencies) / record.seconds,
        "latencies": [latency for _, latency in record.latencies],
    }


def _say(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
