"""The door: how much may be in work at a time, of all clients and of each."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from resift.server.refusals import overloaded
from resift.server.settings import Limits

# Seconds over which the speed is measured.
_LATELY = 10.0
# Seconds that a client is told to wait, at least and at most.
_SHORTEST, _LONGEST = 1.0, 60.0


class Admission:
    """Counts what is in work. All of it happens on the event loop, so there are no locks.

    ``clock`` is for tests.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self.requests = self.pairs = self.bodies = self.body_bytes = 0
        self.done = 0
        """Requests that were ranked."""
        self._of_key: defaultdict[str, int] = defaultdict(int)
        self._buckets: dict[str, _Bucket] = {}
        self._finished: deque[tuple[float, int]] = deque()
        """Requests that were ranked lately: when, and their pairs."""

    @property
    def is_busy(self) -> bool:
        """Whether any request is being read or ranked."""
        return bool(self.requests or self.bodies)

    @contextmanager
    def work(self, pairs: int, key: str | None) -> Iterator[None]:
        """Hold the room for a request. Raises ``RefusedError`` (429) where there is none.

        A request that finds nothing in work is let in, whatever its size.
        """
        limits = self._limits
        if self.pairs and self.pairs + pairs > limits.pairs:
            raise overloaded(
                f"{self.pairs} pairs of a query and a document are in work, and {pairs} more are "
                f"beyond {limits.pairs}; come again later, or send less at a time",
                self.seconds_for(self.pairs + pairs - limits.pairs),
            )
        if key is not None:
            self._check_key(key, pairs)
        self.requests += 1
        self.pairs += pairs
        if key is not None:
            self._of_key[key] += pairs
        try:
            yield
            self.done += 1
            self._finished.append((self._clock(), pairs))
        finally:
            self.requests -= 1
            self.pairs -= pairs
            if key is not None:
                self._of_key[key] -= pairs
                if not self._of_key[key]:
                    del self._of_key[key]

    @contextmanager
    def body(self) -> Iterator[Callable[[int], None]]:
        """Hold the room for a body: gives a function that is told its bytes as they come.

        That raises ``RefusedError`` (429) where all bodies together are too large.
        """
        held = 0

        def take(size: int) -> None:
            nonlocal held
            limit = self._limits.all_bodies_bytes
            if self.body_bytes > 0 and held < self.body_bytes and self.body_bytes + size > limit:
                raise overloaded(
                    f"bodies of {self.body_bytes} bytes are being read, and there is room for "
                    f"{limit}; come again later",
                    _SHORTEST,
                )
            held += size
            self.body_bytes += size

        self.bodies += 1
        try:
            yield take
        finally:
            self.bodies -= 1
            self.body_bytes -= held

    def seconds_for(self, pairs: int) -> float:
        """Seconds in which so many pairs are likely to be done."""
        now = self._clock()
        while self._finished and self._finished[0][0] < now - _LATELY:
            self._finished.popleft()
        done = sum(each for _, each in self._finished)
        if not done:
            return _SHORTEST
        return min(max(pairs * _LATELY / done, _SHORTEST), _LONGEST)

    def _check_key(self, key: str, pairs: int) -> None:
        limits, held = self._limits, self._of_key[key]
        if limits.key_pairs is not None and held and held + pairs > limits.key_pairs:
            raise overloaded(
                f"{held} pairs of this key are in work, and {pairs} more are beyond "
                f"{limits.key_pairs} for each; come again later",
                self.seconds_for(held + pairs - limits.key_pairs),
                "key_limit",
            )
        if limits.key_pairs_per_minute is not None:
            most = limits.key_pairs_per_minute
            bucket = self._buckets.setdefault(key, _Bucket(most, self._clock()))
            wait = bucket.take(pairs, self._clock())
            if wait:
                raise overloaded(
                    f"this key may send {most} pairs in a minute, and has; come again later",
                    wait,
                    "key_limit",
                )


class _Bucket:
    """A bucket that fills up in a minute (a token bucket, as for network traffic)."""

    def __init__(self, most: int, now: float) -> None:
        self._most, self._left, self._since = most, float(most), now

    def take(self, pairs: int, now: float) -> float:
        """Take what a request costs; or leave it, and return the seconds until there is enough.

        A full bucket lets any request through.
        """
        rate = self._most / 60
        self._left = min(self._most, self._left + (now - self._since) * rate)
        self._since = now
        needed = min(pairs, self._most)
        if self._left < needed:
            return (needed - self._left) / rate
        self._left -= pairs
        return 0.0
