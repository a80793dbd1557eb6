"""A model that is ready to score pairs."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resift.backends.processes import ProcessesBackend
from resift.backends.protocol import Backend
from resift.loading.plan import Way
from resift.loading.reader import Reader
from resift.models.folder import ModelFiles
from resift.once import Once
from resift.text.batch import Pair

_logger = logging.getLogger(__name__)

AnyBackend = Backend | ProcessesBackend


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to score pairs; all threads share it."""

    files: ModelFiles
    way: Way
    """The weights that run, their precision and their backend."""
    reader: Reader
    backend: AnyBackend
    float32: Once[AnyBackend | None]
    """Opens the float32 form (``backend`` itself if it is float32); gives ``None`` without one."""
    pool: ThreadPoolExecutor
    """Runs as many forward passes at a time as the backend has workers, for all calls."""
    one_by_one: bool
    """Whether each pair needs its own forward pass, as others would change its logit."""
    fallback: bool = False
    """Whether a preferred way to run the model gave wrong logits on this machine."""

    def padded_length(self, length: int) -> int:
        """The padded length of a batch whose longest pair has ``length`` tokens."""
        multiple = self.backend.length_multiple
        return max(length, min(-(-length // multiple) * multiple, self.reader.window))

    def logits(
        self, batches: Iterable[Sequence[Pair]]
    ) -> Generator[NDArray[np.float32], None, None]:
        """Forward each batch once: ``float32 [len(batch)]`` in the order given.

        As many batches run at a time as the backend has workers. Concurrent calls share the pool
        fairly: each queues at most two batches for each worker.
        """
        waiting: deque[Future[NDArray[np.float32]]] = deque()
        try:
            for batch in batches:
                waiting.append(self.pool.submit(self._forward, batch))
                if len(waiting) > 2 * self.backend.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _forward(self, pairs: Sequence[Pair]) -> NDArray[np.float32]:
        tokenizer, family = self.reader.tokenizer, self.reader.family
        longest = max(map(tokenizer.length, pairs))
        batch = tokenizer.collate(pairs, self.padded_length(longest))
        logits = family.logits(self.backend.forward(batch))
        if not np.isfinite(logits).all():
            wider = self.float32.get()
            if wider is not None:
                _logger.warning("%s gave NaN or infinity; computing again in fp32", self.files.name)
                logits = family.logits(wider.forward(batch))
        return logits
