"""Rows a second of a dataset's job, by this process and by actors of Ray Data."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from environments import note
from kills import back_after, kill
from passages import candidates
from resift_ray.data import OnRay

from resift.datasets import Asked, Columns, Rank, Runner, rerank_files

_DOCUMENTS, _BLOCK = 20, 5
WAYS: dict[str, tuple[int, int] | None] = {
    "this process, 2 threads": None,
    "Ray, 1 actor of 2 threads": (1, 2),
    "Ray, 2 actors of 1 thread": (2, 1),
}


def measure(*, quick: bool) -> dict[str, Any]:
    """Medians of the rounds, the ways by turns; and what a kill of one of two actors costs."""
    rows = 20 if quick else 150
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        source, long = (_write(Path(folder, f"{each}.jsonl"), each) for each in (rows, 3 * rows))
        for number in range(1 if quick else 2):
            for way in WAYS if number % 2 == 0 else [*WAYS][::-1]:
                asked_at, times = time.monotonic(), _times(source, Path(folder, "out"), way)
                # The first block has waited for actors and models.
                steady = (len(times) - 1) * _BLOCK / (times[-1] - times[0])
                found.setdefault(way, []).append((steady, times[-1] - asked_at))
                note(f"round {number + 1}: {way}: {steady:.1f} rows a second")
        back = None if quick else _killed(long, Path(folder, "out"))
    return {
        "documents": _DOCUMENTS,
        "rows": rows,
        "ways": {
            way: {
                "per_second": median(steady for steady, _ in rounds),
                "seconds": median(whole for _, whole in rounds),
            }
            for way, rounds in found.items()
        },
        "back_after": back,
    }


def _killed(source: Path, out: Path) -> float:
    """Seconds from the kill of one of two actors until as many rows a second are done again."""
    killed: list[float] = []

    def at(done: int) -> None:
        if not killed and done >= 60:
            kill("ray::MapWorker")
            killed.append(time.monotonic())

    times = _times(source, out, "Ray, 2 actors of 1 thread", at)
    return back_after(times, killed[0])


def _times(
    source: Path, out: Path, way: str, at: Callable[[int], None] | None = None
) -> list[float]:
    """When each block was done."""
    times: list[float] = []

    def progress(done: int, _: int) -> None:
        if done:
            times.append(time.monotonic())
        if at:
            at(done)

    asked = Asked(
        columns=Columns(),
        task=Rank(top_n=10),
        options={"model": "resift-small", "threads": 2},
        block_rows=_BLOCK,
    )
    actors = WAYS[way]
    runner: Runner | None = None
    if actors:
        # More CPUs than there are may be reserved: Ray Data's own tasks need one.
        os.environ["RAY_OVERRIDE_RESOURCES"] = '{"CPU": 8}'
        runner = OnRay("local", actors=actors[0], cpus_per_actor=actors[1])
    with tempfile.TemporaryDirectory(dir=out.parent) as own:
        rerank_files(source, Path(own, "out"), asked, runner=runner, progress=progress)
    return times


def _write(path: Path, rows: int) -> Path:
    requests = candidates(50)
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            query, documents = requests[number % len(requests)]
            first = number // len(requests) * _DOCUMENTS % (len(documents) - _DOCUMENTS)
            part = documents[first : first + _DOCUMENTS]
            file.write(json.dumps({"query": query, "documents": part}) + "\n")
    return path
