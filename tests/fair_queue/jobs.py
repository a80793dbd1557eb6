"""Jobs of one pass for each number, and a model that runs them when it is let."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from resift.loading.passes import Limits, Pass
from resift.loading.queue import FairQueue, Job
from resift.text.batch import Pair


def pair(number: int) -> Pair:
    return Pair(np.zeros(0, np.int32), np.array([number], np.int32))


class Model:
    """Gives each pair its number as its logit, when it is let."""

    def __init__(self) -> None:
        self.let = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)
        self.seen: list[list[int]] = []

    def forward(self, pairs: Sequence[Pair], length: int) -> NDArray[np.float32]:
        numbers = [int(each.document[0]) for each in pairs]
        self.seen.append(numbers)
        self.entered.release()
        assert self.let.acquire(timeout=20)
        if -1 in numbers:
            raise ValueError("a pair is at fault")
        return np.array(numbers, np.float32)

    def run_freely(self) -> None:
        self.let.release(10_000)


def queue(workers: int = 1, **limits: int) -> FairQueue:
    return FairQueue(
        ThreadPoolExecutor(workers), workers, Limits.of(limits.get("pairs"), limits.get("tokens"))
    )


def job(
    owner: FairQueue,
    model: Model,
    numbers: Sequence[int],
    *,
    budget: int = 1,
    length: int = 1,
    pads: bool = True,
    cancelled: Callable[[], bool] = lambda: False,
    in_time: Callable[[Pass], bool] | None = None,
) -> Job:
    """A job of one pass for each number."""
    found = Job(
        owner, model.forward, budget=budget, pads=pads, cancelled=cancelled, in_time=in_time
    )
    found.pairs = [pair(number) for number in numbers]
    found.add([Pass([at], length) for at in range(len(numbers))])
    return found


def logits(found: Job) -> list[float]:
    """The logits by pair; NaN where a pair wasn't run."""
    values = np.full(len(found.pairs), np.nan)
    while found.outstanding:
        for done in found.next():
            values[list(done.pairs)] = done.logits
    return [float(each) for each in values]


def wait_for(model: Model, passes: int = 1) -> None:
    for _ in range(passes):
        assert model.entered.acquire(timeout=20)
