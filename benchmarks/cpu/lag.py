"""How late an event loop is, and percentiles."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

_INTERVAL = 0.002


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least ``share`` of the values don't exceed; NaN without any."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@asynccontextmanager
async def loop_lag() -> AsyncIterator[list[float]]:
    """Seconds by which a timer of the running loop is late, each 2 ms, while the block runs."""
    lags: list[float] = []
    ticker = asyncio.create_task(_tick(lags))
    try:
        yield lags
    finally:
        ticker.cancel()
        with suppress(asyncio.CancelledError):
            await ticker


async def _tick(lags: list[float]) -> None:
    while True:
        due = time.perf_counter() + _INTERVAL
        await asyncio.sleep(_INTERVAL)
        lags.append(max(0.0, time.perf_counter() - due))
