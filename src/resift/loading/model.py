"""A model that is ready to score pairs."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resift.backends.processes import ProcessesBackend
from resift.backends.protocol import Backend
from resift.loading.costs import Costs
from resift.loading.passes import Pass
from resift.loading.plan import Way
from resift.loading.queue import FairQueue, Job
from resift.loading.reader import Reader
from resift.models.folder import ModelFiles
from resift.once import Once
from resift.text.batch import Pair
from resift.text.batching import plan_batches, plan_in_order

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
    queue: FairQueue
    """Runs as many forward passes at a time as the backend has workers, for all calls."""
    costs: Costs
    """Seconds that forward passes and the reading of texts take."""
    reading: BoundedSemaphore
    """Held for work in Python: more threads at it than there are CPUs hinder each other, and an
    event loop.
    """
    one_by_one: bool
    """Whether each pair needs its own forward pass, as others would change its logit."""
    fallback: bool = False
    """Whether a preferred way to run the model gave wrong logits on this machine."""

    def padded_length(self, length: int) -> int:
        """The padded length of a batch whose longest pair has ``length`` tokens."""
        multiple = self.backend.length_multiple
        return max(length, min(-(-length // multiple) * multiple, self.reader.window))

    def passes(self, lengths: Sequence[int], budget: int, *, in_order: bool) -> list[Pass]:
        """Plan forward passes over pairs of these padded lengths, ``in_order`` or longest first."""
        plan = plan_in_order if in_order else plan_batches
        batches = plan(lengths, self._budget(budget), equal_lengths=not self.backend.pads)
        return [Pass(each, max(lengths[at] for at in each)) for each in batches]

    def job(self, budget: int, **conditions: Any) -> Job:
        """A job of passes for this model; ``conditions`` are those of ``Job``."""
        return Job(
            self.queue,
            self.forward,
            budget=self._budget(budget),
            pads=self.backend.pads,
            **conditions,
        )

    def forward(self, pairs: Sequence[Pair], length: int | None = None) -> NDArray[np.float32]:
        """Run one pass over pairs, padded to ``length`` tokens: ``float32 [pairs]``."""
        tokenizer, family = self.reader.tokenizer, self.reader.family
        length = length or self.padded_length(max(map(tokenizer.length, pairs)))
        start = time.perf_counter()
        batch = tokenizer.collate(pairs, length)
        logits = family.logits(self.backend.forward(batch))
        self.costs.learn_pass(len(pairs), length, time.perf_counter() - start)
        if not np.isfinite(logits).all():
            wider = self.float32.get()
            if wider is not None:
                _logger.warning("%s gave NaN or infinity; computing again in fp32", self.files.name)
                # Wider numbers take more memory.
                rows = max(1, wider.max_batch_tokens // length)
                parts = [pairs[at : at + rows] for at in range(0, len(pairs), rows)]
                outputs = [wider.forward(tokenizer.collate(part, length)) for part in parts]
                logits = np.concatenate([family.logits(each) for each in outputs])
        return logits

    def _budget(self, budget: int) -> int:
        # Within a budget of one token, each pair is a pass of its own.
        return 1 if self.one_by_one else budget
