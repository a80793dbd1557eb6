"""What a backend is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from resift.text.batch import Batch


class Backend(Protocol):
    """A loaded model on a device. It knows nothing of queries or ranking.

    Made from the model's file. ``precision`` is one of those that its ``BackendEntry`` runs, and
    ``threads`` how many threads of the CPU it may use. ``vocabulary_ids`` are for models with a
    language-modelling head: the tokens whose logits are the outputs; a backend that can't read
    such models refuses any. Raises ``BackendUnavailableError`` for a device that isn't there,
    ``UnsupportedModelError`` naming a file that can't be run.
    """

    device: str
    """Where it runs."""
    workers: int
    """How many threads may be in ``forward`` at a time; more gain nothing."""
    max_batch_tokens: int
    """Padded tokens of one forward pass, where the caller says nothing."""
    length_multiple: int
    """Lengths that aren't a multiple of this are padded to one."""
    pads: bool
    """Whether pairs of different lengths may share a pass, without moving a logit."""

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
        """``[batch, length]`` token ids to the model's outputs, ``float32 [batch, labels]``."""
