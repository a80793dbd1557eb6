"""A process, its limits of time and memory, and how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from memory import memory

_INTERVAL = 0.02


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it said."""

    status: int
    lines: list[dict[str, Any]]
    seconds: float
    at: float
    """On the monotonic clock."""
    peak: int
    """Resident bytes at most, as far as that was seen."""
    limit: Literal["time", "memory"] | None


def watched(
    command: Sequence[str], variables: Mapping[str, str], *, seconds: float, bytes_: int, log: Path
) -> Ended:
    """Run it to its end, or to the first limit that it goes beyond."""
    out = log.with_suffix(".out")
    with log.open("w", encoding="utf-8") as errors, out.open("w", encoding="utf-8") as answers:
        start = time.monotonic()
        process = subprocess.Popen(
            command, stdout=answers, stderr=errors, env=dict(variables), start_new_session=True
        )
        limit: Literal["time", "memory"] | None = None
        peak = 0
        while process.poll() is None:
            used = memory(process.pid)
            peak = max(peak, used.get("peak", 0))
            if time.monotonic() - start > seconds:
                limit = "time"
            if used.get("now", 0) > bytes_:
                limit = "memory"
            if limit:
                break
            time.sleep(_INTERVAL)
        at = time.monotonic()
        # Children that it left behind, too.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
    text = out.read_text(encoding="utf-8")
    out.unlink()
    lines = [json.loads(line) for line in text.splitlines()]
    return Ended(status, lines, at - start, at, peak, limit)
