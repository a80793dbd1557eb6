"""The state of one call."""

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
    """The state of one call, passed to every scorer that takes part in it."""

    options: RankOptions
    watch: Stopwatch
    progress: Callable[[int, int], None]
    """Called with the number of pairs done, and of all pairs."""
    cancelled: threading.Event | None = None
    memo: dict[Any, Any] = field(default_factory=dict)
    """Results that one scorer keeps for the next, so that no text is tokenized twice in a call."""

    @classmethod
    def of(
        cls,
        options: RankOptions,
        observer: Observer | None = None,
        cancelled: threading.Event | None = None,
    ) -> Call:
        """Start a call: its clock runs from now."""
        observer = observer or Observer()
        return cls(options, Stopwatch(observer), observer.progress, cancelled)

    def step(self, done: int, total: int) -> None:
        """Report progress: ``done`` of ``total`` pairs. No other place stops a call.

        Raises ``asyncio.CancelledError`` once the call is cancelled.
        """
        if self.cancelled is not None and self.cancelled.is_set():
            raise asyncio.CancelledError
        self.progress(done, total)
