"""Several requests at a time for one call: progress, cancellation, and an end in time."""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from resift.call import Call

T = TypeVar("T")


class Clock:
    """Monotonic time, and sleep that an event cuts short. Tests have one of their own."""

    def now(self) -> float:
        """Seconds, from wherever."""
        return time.monotonic()

    def sleep(self, seconds: float, woken: threading.Event) -> None:
        """Return after ``seconds``, or once ``woken`` is set."""
        woken.wait(seconds)


class StoppedError(Exception):
    """Nobody waits for this work any more: time is up, or another part of the call failed."""


@dataclass(frozen=True, slots=True)
class Patience:
    """The time that the requests of a call may take, and whether they are still wanted."""

    remaining: Callable[[], float]
    """Returns the seconds that are left for the call; infinity is no bound."""
    clock: Clock
    tell: Callable[[int], None]
    """Takes the number of pairs just done; 0 makes a cancelled call end."""
    cancelled: threading.Event
    """Set once the caller has gone."""
    stopped: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def of(cls, seconds: float, clock: Clock) -> Patience:
        """Patience for one request that belongs to no call."""
        until = clock.now() + seconds
        return cls(lambda: until - clock.now(), clock, lambda _: None, threading.Event())

    def seconds(self, most: float) -> float:
        """Seconds for the next step, at most ``most``. Raises ``StoppedError`` for none."""
        left = self.remaining()
        if self.cancelled.is_set():
            self.tell(0)
            raise StoppedError
        if self.stopped.is_set() or left <= 0:
            raise StoppedError
        return min(most, left)

    def has(self, seconds: float) -> bool:
        """Whether so many seconds, and a moment more, are left."""
        return seconds < self.remaining()

    def sleep(self, seconds: float) -> None:
        """Wait. Raises ``StoppedError`` where there is nothing more to wait for."""
        self.clock.sleep(seconds, self.cancelled)
        self.seconds(0.0)


Job = Callable[[Patience], T]


def run_all(
    jobs: Sequence[Job[T]],
    call: Call,
    *,
    pairs: int,
    at_a_time: int,
    clock: Clock,
) -> list[T | None]:
    """Run jobs in threads; ``None`` for those that weren't done by the call's deadline.

    ``call.step`` is called in this thread, with ``pairs`` as the total. The first error of a job
    is raised, and no job starts another request after it.
    """
    events: queue.SimpleQueue[int | Future[T | None]] = queue.SimpleQueue()
    cancelled = call.cancelled or threading.Event()
    patience = Patience(lambda: call.remaining, clock, events.put, cancelled)
    call.step(0, pairs)
    done = 0
    pool = ThreadPoolExecutor(max(1, min(at_a_time, len(jobs))), "resift-remote")
    try:
        # So that a tracer sees the requests within the call.
        futures = [pool.submit(contextvars.copy_context().run, _one, job, patience) for job in jobs]
        for future in futures:
            future.add_done_callback(events.put)
        waiting = len(futures)
        while waiting:
            left = None if call.deadline is None else max(call.remaining, 0.0)
            try:
                event = events.get(timeout=left)
            except queue.Empty:
                break
            if isinstance(event, Future):
                waiting -= 1
                event.result()
            else:
                done += event
                call.step(done, pairs)
        return [future.result() if future.done() else None for future in futures]
    finally:
        patience.stopped.set()
        # What is on its way ends by its own time-out.
        pool.shutdown(wait=False, cancel_futures=True)


def _one(job: Job[T], patience: Patience) -> T | None:
    try:
        return job(patience)
    except StoppedError:
        return None
