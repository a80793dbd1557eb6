"""A circuit breaker: a server that keeps failing is left alone for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Breaker:
    """Opens after a number of failures in a row, and lets one request through in each pause.

    ``failures``: how many in a row open it. ``pause``: seconds. ``now`` gives seconds on a
    monotonic clock. Any success closes it.
    """

    def __init__(self, failures: int, pause: float, now: Callable[[], float]) -> None:
        self._limit, self._pause, self._now = failures, pause, now
        self._lock = threading.Lock()
        self._failures = 0
        self._since = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it failed too often."""
        return self._failures >= self._limit

    def wait(self) -> float:
        """Seconds to leave the server alone; 0 lets the caller ask it now."""
        with self._lock:
            if not self.is_open:
                return 0.0
            left = self._since + self._pause - self._now()
            if left > 0:
                return left
            # The next trial is a pause away, whatever becomes of this one.
            self._since = self._now()
            return 0.0

    def succeeded(self) -> None:
        """Note that the server answered."""
        with self._lock:
            self._failures = 0

    def failed(self) -> bool:
        """Note that it didn't; returns whether this opened the breaker."""
        with self._lock:
            self._failures += 1
            self._since = self._now()
            return self._failures == self._limit
