"""The state of one call."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
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
    watched: bool = True
    """Whether anybody wants to hear of progress."""
    deadline: float | None = None
    """When the call is to be over, by ``time.perf_counter``; ``None`` for any time."""
    memo: dict[Any, Any] = field(default_factory=dict)
    """Results that one scorer keeps for the next, so that no text is tokenized twice in a call."""

    @classmethod
    def of(
        cls,
        options: RankOptions,
        observer: Observer | None = None,
        cancelled: threading.Event | None = None,
        start: float | None = None,
    ) -> Call:
        """Start a call: its clock runs from ``start``, by ``time.perf_counter``, or from now."""
        watched, observer = observer is not None, observer or Observer()
        watch = Stopwatch(observer, start)
        milliseconds = options.deadline_ms
        deadline = None if milliseconds is None else watch.start + milliseconds / 1000
        return cls(options, watch, observer.progress, cancelled, watched, deadline)

    @property
    def remaining(self) -> float:
        """Seconds until the deadline, below 0 after it; infinity without one."""
        return math.inf if self.deadline is None else self.deadline - time.perf_counter()

    def part(self, share: float) -> Call:
        """The call with a deadline after this share of the time left, from 0 to 1."""
        if self.deadline is None:
            return self
        return replace(self, deadline=time.perf_counter() + share * max(0.0, self.remaining))

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody waits for the result any more."""
        return self.cancelled is not None and self.cancelled.is_set()

    def step(self, done: int, total: int) -> None:
        """Report progress: ``done`` of ``total`` pairs. No other place stops a call.

        Raises ``asyncio.CancelledError`` once the call is cancelled.
        """
        if self.is_cancelled:
            raise asyncio.CancelledError
        self.progress(done, total)
