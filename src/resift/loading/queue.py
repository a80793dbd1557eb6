"""The queue of forward passes: one for all callers, fair between them, and bounded."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from queue import Empty, SimpleQueue

import numpy as np
from numpy.typing import NDArray

from resift.loading.passes import Done, Limits, Pass, Room, Waiting
from resift.text.batch import Pair

# Of the passes of another job, so many are looked at for one that can join.
_LOOKED_AT = 16

Forward = Callable[[Sequence[Pair], int], NDArray[np.float32]]
"""Takes pairs and their padded length; returns their logits, ``float32 [pairs]``."""


OnPass = Callable[[int, int], None]
"""Takes the pairs and padded tokens of a pass that is about to run; called in its thread."""


class FairQueue:
    """Runs the passes of all jobs in ``pool``, ``workers`` at a time.

    The job that had the fewest tokens so far is next, and a new one begins where the others are: so
    a small job waits for what runs, not for all of a large one. Small passes of several jobs are
    joined where all workers are busy.
    """

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        workers: int,
        limits: Limits,
        on_pass: OnPass | None = None,
    ) -> None:
        self._pool, self._workers, self._limits = pool, workers, limits
        self._on_pass = on_pass
        self._lock = threading.Lock()
        self._jobs: list[Job] = []
        """Those that have passes to run."""
        self._waiting_pairs = self._waiting_tokens = 0
        self._running = 0
        self._served = 0
        """Tokens that the job served last had had."""

    @property
    def waiting(self) -> Waiting:
        """The passes that wait and run now."""
        with self._lock:
            return Waiting(self._waiting_pairs, self._waiting_tokens, self._running)

    def check(self, pairs: int) -> None:
        """Raise ``OverloadedError`` if so many pairs, of unknown length, are too many now."""
        with self._lock:
            self._limits.check("pairs", self._waiting_pairs, pairs)

    def add(self, job: Job, passes: Sequence[Pass]) -> None:
        """Queue more passes of a job. Raises ``OverloadedError`` where its first are too many."""
        with self._lock:
            pairs = sum(len(each.pairs) for each in passes)
            tokens = sum(each.tokens for each in passes)
            if not job.admitted:
                self._limits.check("pairs", self._waiting_pairs, pairs)
                self._limits.check("tokens", self._waiting_tokens, tokens)
                job.admitted, job.admitted_at = True, time.perf_counter()
            self._waiting_pairs += pairs
            self._waiting_tokens += tokens
            job.passes.extend(passes)
            job.outstanding += len(passes)
            if job not in self._jobs:
                job.served = max(job.served, self._served)
                self._jobs.append(job)
            for _ in range(min(len(passes), self._workers - self._running)):
                self._running += 1
                self._pool.submit(self._work)

    def remove(self, job: Job) -> int:
        """Forget what a job still has to run; returns how many passes that were."""
        with self._lock:
            return self._drop(job)

    def _work(self) -> None:
        while True:
            with self._lock:
                parts = self._take()
                if not parts:
                    self._running -= 1
                    return
            if self._on_pass is not None:
                pairs = sum(len(each.pairs) for _, each in parts)
                self._on_pass(pairs, pairs * max(each.length for _, each in parts))
            _run(parts)

    def _take(self) -> list[tuple[Job, Pass]]:
        """The next pass, with those of other jobs that join it."""
        while self._jobs:
            job = min(self._jobs, key=lambda each: each.served)
            if job.may_start(job.passes[0]):
                parts = [self._taken(job)]
                self._join(parts)
                return parts
            job.tell_dropped(self._drop(job))
        return []

    def _drop(self, job: Job) -> int:
        """Forget the passes of a job; returns how many there were."""
        dropped = len(job.passes)
        while job.passes:
            self._left(job.passes.popleft())
        if job in self._jobs:
            self._jobs.remove(job)
        return dropped

    def _left(self, found: Pass) -> Pass:
        self._waiting_pairs -= len(found.pairs)
        self._waiting_tokens -= found.tokens
        return found

    def _taken(self, job: Job, at: int = 0) -> tuple[Job, Pass]:
        found = self._left(job.passes[at])
        del job.passes[at]
        self._served = job.served
        job.served += found.tokens
        if not job.started:
            job.started, job.began = True, time.perf_counter()
        if not job.passes:
            self._jobs.remove(job)
        return job, found

    def _join(self, parts: list[tuple[Job, Pass]]) -> None:
        ((job, first),) = parts
        if self._running < self._workers:
            # A worker is free: two passes at a time are faster than one of both.
            return
        room = Room(len(first.pairs), first.length, job.budget)
        for other in list(self._jobs):
            if room.is_full:
                break
            if not other.joins(job):
                continue
            for at, more in enumerate(islice(other.passes, _LOOKED_AT)):
                if (job.pads or more.length == first.length) and room.take(more):
                    parts.append(self._taken(other, at))
                    break


class Job:
    """The passes of one caller, who waits for their results.

    ``forward`` runs them; ``budget`` are the most padded tokens of a pass. Where it ``pads``, pairs
    of different lengths may share one. ``cancelled`` says whether the caller has gone, and
    ``in_time`` whether a pass would be done in time: passes that wouldn't be aren't started. With
    ``at_once``, the caller is woken for all results, and not for each.
    """

    def __init__(
        self,
        queue: FairQueue,
        forward: Forward,
        *,
        budget: int,
        pads: bool,
        cancelled: Callable[[], bool],
        in_time: Callable[[Pass], bool] | None = None,
        at_once: bool = False,
    ) -> None:
        self._queue, self._at_once = queue, at_once
        self._lock = threading.Lock()
        self._unfinished = 0
        self._done: list[Done] = []
        """Results that the caller hasn't been woken for."""
        self.forward, self.budget, self.pads = forward, budget, pads
        self._cancelled, self._in_time = cancelled, in_time
        self.pairs: list[Pair] = []
        self.passes: deque[Pass] = deque()
        self.results: SimpleQueue[list[Done] | Exception | int] = SimpleQueue()
        """What became of passes; a number is of those that won't run."""
        self.served = 0
        self.outstanding = 0
        """Number of passes that ``next`` hasn't told of."""
        self.admitted_at = self.began = math.nan
        """When it was queued, and when its first pass began, by ``time.perf_counter``."""
        self.admitted = self.started = self.over = False
        """Let into the queue; begun; not to be gone on with."""

    def add(self, passes: Sequence[Pass]) -> None:
        """Queue passes over ``pairs``. Raises ``OverloadedError`` where too much waits."""
        if passes:
            with self._lock:
                self._unfinished += len(passes)
            self._queue.add(self, passes)

    def next(self, seconds: float = math.inf) -> list[Done]:
        """Wait for results; none where no more passes begin. Raises what ``forward`` raised.

        After so many ``seconds``, what hasn't begun won't, save the first pass.
        """
        patient = self.over or not math.isfinite(seconds)
        try:
            result = self.results.get(timeout=None if patient else max(0.0, seconds))
        except Empty:
            result = self._queue.remove(self) if self.started else 0
            with self._lock:
                self._unfinished -= result
        if isinstance(result, Exception):
            raise result
        if isinstance(result, int):
            self.over = True
            self.outstanding -= result
            return []
        self.outstanding -= len(result)
        return result

    def tell(self, done: Done) -> None:
        """Take a result, and wake the caller for it or for all."""
        with self._lock:
            self._done.append(done)
            self._unfinished -= 1
            self._flush()

    def tell_dropped(self, passes: int) -> None:
        """Take it that so many passes won't run."""
        self.results.put(passes)
        with self._lock:
            self._unfinished -= passes
            self._flush()

    def _flush(self) -> None:
        if self._done and not (self._at_once and self._unfinished):
            self.results.put(self._done)
            self._done = []

    def close(self) -> None:
        """Leave nothing to run."""
        self._queue.remove(self)

    def may_start(self, found: Pass) -> bool:
        """Whether the caller still waits for a pass, and it would be done in time."""
        if self._cancelled():
            return False
        # One pass is run in any case.
        return not self.started or self._in_time is None or self._in_time(found)

    def joins(self, other: Job) -> bool:
        """Whether passes of both may be one."""
        if self is other or self._in_time or other._in_time or self._cancelled():
            # A joined pass takes longer than its parts, and a job's own passes were planned.
            return False
        return self.forward == other.forward and self.budget == other.budget > 1


def _run(parts: Sequence[tuple[Job, Pass]]) -> None:
    job = parts[0][0]
    length = max(each.length for _, each in parts)
    pairs = [owner.pairs[at] for owner, each in parts for at in each.pairs]
    try:
        logits = job.forward(pairs, length)
    except Exception as error:
        if len(parts) == 1:
            job.results.put(error)
            return
        # Only the job whose pairs are at fault hears of it.
        for part in parts:
            _run([part])
        return
    start = 0
    for owner, each in parts:
        stop = start + len(each.pairs)
        owner.tell(Done(each.pairs, logits[start:stop], length))
        start = stop
