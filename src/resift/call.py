"""All that one call carries."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from resift.options import RankOptions
from resift.telemetry import Observer, Stopwatch


@dataclass(frozen=True, slots=True)
class Call:
    """Made once for each call, and shown to every scorer that takes part in it."""

    options: RankOptions
    watch: Stopwatch
    progress: Callable[[int, int], None]
    """Hears of the pairs done and the pairs in all."""
    cancelled: threading.Event | None = None
    memo: dict[Any, Any] = field(default_factory=dict)
    """What one scorer keeps for the next: texts aren't tokenized twice in a call."""

    @classmethod
    def of(
        cls,
        options: RankOptions,
        observer: Observer | None = None,
        cancelled: threading.Event | None = None,
    ) -> Call:
        """A call that begins now."""
        observer = observer or Observer()
        return cls(options, Stopwatch(observer), observer.progress, cancelled)

    def step(self, done: int, total: int) -> None:
        """Report progress. The only place that stops work: raises once nobody waits for it."""
        if self.cancelled is not None and self.cancelled.is_set():
            raise asyncio.CancelledError
        self.progress(done, total)
