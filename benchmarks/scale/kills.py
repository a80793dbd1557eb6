"""What a killed process costs: until work is done as fast as before."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from environments import note
from passages import candidates
from posting import Client
from replicas import Way, bodies, served

_WINDOW, _SHARE = 6.0, 0.8
_BEFORE, _AFTER = 20.0, 60.0


def measure() -> dict[str, Any]:
    """One of two replicas dies under the load of four callers; statuses, and seconds until back."""
    with served(Way(2, 1, ray=True)) as (_, port):
        times, killed, statuses = asyncio.run(_asked(port))
    back = back_after(times, killed)
    found = {"statuses": dict(statuses), "back_after": back if back < float("inf") else "never"}
    note(f"a replica was killed: {found}")
    return found


def back_after(times: Sequence[float], killed: float) -> float:
    """Seconds from `killed` to the end of the last `_WINDOW` with less done than before.

    That is less than `_SHARE` of what was done a second in the ten before; infinite where it
    isn't over at the end of `times`, which are sorted.
    """
    times = sorted(times)

    def rate(first: float, last: float) -> float:
        return (bisect_left(times, last) - bisect_left(times, first)) / (last - first)

    before, end = rate(killed - 10, killed), killed
    at = killed + _WINDOW
    while at <= times[-1]:
        if rate(at - _WINDOW, at) < _SHARE * before:
            end = at
        at += 0.25
    return float("inf") if end + 0.5 > times[-1] else end - killed


def kill(title: str) -> int:
    """SIGKILL for one of this user's processes whose title begins so; returns its id."""
    for each in sorted(Path("/proc").glob("[0-9]*/cmdline")):
        try:
            found = each.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if found.startswith(title):
            pid = int(each.parent.name)
            os.kill(pid, signal.SIGKILL)
            return pid
    raise RuntimeError(f"no process is called {title}")


async def _asked(port: int) -> tuple[list[float], float, Counter[str]]:
    requests, client = bodies(candidates(20), 20), Client(port)
    times: list[float] = []
    statuses: Counter[str] = Counter()
    start = time.monotonic()

    async def caller(first: int) -> None:
        number = first
        while time.monotonic() < start + _BEFORE + _AFTER:
            try:
                await client.post(requests[number % len(requests)])
            except (OSError, EOFError) as error:
                statuses[str(error)[:10] or type(error).__name__] += 1
                await asyncio.sleep(0.1)
            else:
                times.append(time.monotonic())
                statuses["status 200"] += 1
            number += 1

    async def killer() -> float:
        await asyncio.sleep(_BEFORE)
        kill("ray::ServeReplica")
        return time.monotonic()

    killing = asyncio.create_task(killer())
    await asyncio.gather(*(caller(each) for each in range(4)))
    await client.close()
    return times, await killing, statuses
