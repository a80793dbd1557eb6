"""Replicas of Ray on this machine beside one process, and what the simulation says of both."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from arrivals import closed_by_tasks
from environments import note
from fleet import Pool
from lag import percentile
from memory import family_memory
from passages import candidates
from posting import Client, request_of
from running import Fleet, closed
from servers import free_port
from traffic import Stage

_PATIENCE = 120.0
_SIMULATED_SECONDS = 2000.0
_CORES = 2


@dataclass(frozen=True)
class Way:
    """One process, or replicas by Ray; `threads` are each one's."""

    replicas: int
    threads: int
    ray: bool

    def __str__(self) -> str:
        if not self.ray:
            return f"one process, {self.threads} threads"
        return f"Ray, {self.replicas} × {self.threads} threads"


WAYS = (
    *(Way(1, threads, ray=False) for threads in (1, 2, 4)),
    Way(1, 2, ray=True),
    *(Way(replicas, 1, ray=True) for replicas in (1, 2, 4)),
)
# Documents of a request, callers, and requests of each.
LOADS = ((20, 1, 16), (20, 8, 8), (100, 4, 3))


def measure(costs: Mapping[str, Any], *, quick: bool) -> list[dict[str, Any]]:
    """A row for each way and load: medians of the rounds, the ways by turns."""
    requests = candidates(20)
    found: dict[tuple[Way, tuple[int, int, int]], list[dict[str, float]]] = {}
    for number in range(1 if quick else 2):
        for way in WAYS if number % 2 == 0 else WAYS[::-1]:
            with served(way) as (process, port):
                for load in LOADS[:1] if quick else LOADS:
                    figures = asyncio.run(asked(port, requests, load))
                    found.setdefault((way, load), []).append(
                        figures | {"memory": family_memory(process.pid)}
                    )
            note(f"round {number + 1}: {way}")
    return [
        {
            "what": str(way),
            "documents": load[0],
            "callers": load[1],
            **{name: median(each[name] for each in rounds) for name in rounds[0]},
            **_simulated(way, load, costs),
        }
        for (way, load), rounds in found.items()
    ]


async def asked(
    port: int, requests: Sequence[tuple[str, list[str]]], load: tuple[int, int, int]
) -> dict[str, float]:
    """Requests a second, and percentiles of latency in seconds."""
    documents, callers, each = load
    posted = bodies(requests, documents)
    client = Client(port)
    try:
        record = await closed_by_tasks(
            lambda number: client.post(posted[number % len(posted)]), callers, each
        )
    finally:
        await client.close()
    if record.errors:
        raise RuntimeError(f"{len(record.errors)} requests failed, the first: {record.errors[0]}")
    latencies = [latency for _, latency in record.latencies]
    return {
        "rate": len(latencies) / record.seconds,
        "p50": percentile(latencies, 0.5),
        "p95": percentile(latencies, 0.95),
    }


def bodies(requests: Sequence[tuple[str, list[str]]], documents: int) -> list[bytes]:
    """Requests over HTTP, with the first `documents` of each."""
    return [
        request_of("/rerank", json.dumps({"query": query, "texts": texts[:documents]}).encode())
        for query, texts in requests
    ]


def _simulated(way: Way, load: tuple[int, int, int], costs: Mapping[str, Any]) -> dict[str, float]:
    documents, callers, _ = load
    # What threads of one process lose to each other, no replicas do.
    speed = 1.0 if way.threads == 1 else costs["speed_up"]
    pool = Pool("here", 1, _CORES, way.replicas, speed, max_ongoing=64, max_queued=256)
    seconds = costs["seconds"]["small" if documents == 100 else "small of 20"]
    fleet = Fleet([pool], [Stage("here", seconds)])
    outcome = closed(fleet, callers, _SIMULATED_SECONDS)
    return {
        "simulated_rate": len(outcome.latencies) / _SIMULATED_SECONDS,
        "simulated_p50": outcome.percentile(0.5),
        "simulated_p95": outcome.percentile(0.95),
    }


@contextmanager
def served(way: Way) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server on a free port, which can rank; it ends with its children."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "resift.toml")
        port = free_port()
        threads = "" if way.ray else f"threads = {way.threads}\n"
        config.write_text(
            f"[server]\nport = {port}\n{threads}"
            "drain_seconds = 0\n"
            '[models.small]\nmodel = "resift-small"\npreload = true\n'
            f"[ray]\nreplicas = {way.replicas}\nnum_cpus = {way.threads}\n",
            encoding="utf-8",
        )
        words = ["serve", "--config", str(config), *(["--ray"] if way.ray else [])]
        script = "import sys; from resift.cli.main import main; sys.exit(main())"
        log = Path(folder, "log")
        with log.open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-c", script, *words],
                stdout=said,
                stderr=said,
                # More CPUs than there are may be reserved.
                env=os.environ | {"RAY_OVERRIDE_RESOURCES": '{"CPU": 16}'},
            )
        try:
            asyncio.run(_ready(port, process, log))
            yield process, port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_PATIENCE)


async def _ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    warm = request_of("/rerank", b'{"query": "a", "texts": ["b"]}')
    for _ in range(int(_PATIENCE * 4)):
        if process.poll() is not None:
            break
        client = Client(port)
        try:
            for _ in range(8):
                await client.post(warm)
        except (OSError, EOFError):
            await asyncio.sleep(0.25)
        else:
            return
        finally:
            await client.close()
    raise RuntimeError(f"no server: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
