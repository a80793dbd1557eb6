"""The interface of backends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from resift.text.batch import Batch


class Backend(Protocol):
    """A loaded model on a device. It knows nothing of queries or ranking.

    ``path``: the model's file. ``device``: where to run it; ``None`` is the backend's default.
    ``precision``: one that the ``BackendEntry`` lists under ``runs``. ``threads``: the number of
    CPU threads that it may use. ``vocabulary_ids``: for models with a language-modelling head, the
    tokens whose logits are the outputs; a backend that can't run such models refuses any.

    Raises ``BackendUnavailableError`` for a missing device, ``UnsupportedModelError`` naming a file
    that can't be run.
    """

    device: str
    """The name of the device it runs on."""
    workers: int
    """The number of threads that may be in ``forward`` at a time; more gain nothing."""
    max_batch_tokens: int
    """The default for the padded tokens of one forward pass."""
    length_multiple: int
    """Batches are padded to a multiple of this length, in tokens; 1 for no padding."""
    pads: bool
    """Whether pairs of different lengths may share a pass without moving a logit."""

    def __init__(
        self,
        path: Path,
        *,
        device: str | None,
        precision: str,
        threads: int,
        vocabulary_ids: Sequence[int] = (),
    ) -> None: ...

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        """Run ``[batch, length]`` token ids; returns the outputs, ``float32 [batch, labels]``."""
