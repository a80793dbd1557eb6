"""``Pool``: threads and queues that several models share."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from resift.checks import check_callable, check_positive_int
from resift.loading.passes import Limits, Waiting
from resift.loading.queue import FairQueue, OnPass
from resift.once import Once


class Pool:
    """Threads for forward passes, and the queue before them, for several models.

    Models that run on the same device, with as many ``threads``, share them: no more passes run at
    a time than one of these models alone would run, and no model waits for all the work of another.
    A child of ``fork`` starts its own.

    ``max_queue_pairs`` and ``max_queue_tokens``: as ``Reranker`` has them, for all these models
    together. ``on_pass``: called before each pass with its pairs and its padded tokens, in the
    thread that runs it; it must return at once, and not raise.

    Raises ``InvalidRequestError`` for an invalid argument.
    """

    def __init__(
        self,
        *,
        max_queue_pairs: int | None = None,
        max_queue_tokens: int | None = None,
        on_pass: OnPass | None = None,
    ) -> None:
        check_positive_int("max_queue_pairs", max_queue_pairs, "None for 100,000")
        check_positive_int("max_queue_tokens", max_queue_tokens, "None for 20,000,000")
        check_callable("on_pass", on_pass)
        self._limits, self._on_pass = Limits.of(max_queue_pairs, max_queue_tokens), on_pass
        self._state = Once(_State)

    def queue(self, device: str | None, workers: int) -> FairQueue:
        """The queue of the models on a device that run so many passes at a time."""
        state, key = self._state.get(), (device, workers)
        with state.lock:
            if key not in state.queues:
                state.queues[key] = FairQueue(
                    ThreadPoolExecutor(workers, thread_name_prefix="resift"),
                    workers,
                    self._limits,
                    self._on_pass,
                )
            return state.queues[key]

    @property
    def waiting(self) -> Waiting:
        """The work of all models that waits and runs now."""
        state = self._state.get()
        with state.lock:
            found = [each.waiting for each in state.queues.values()]
        return Waiting(
            sum(each.pairs for each in found),
            sum(each.tokens for each in found),
            sum(each.running for each in found),
        )


class _State:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.queues: dict[tuple[str | None, int], FairQueue] = {}
