"""Networks that the backend calls: a batch of token ids in, a tensor of outputs out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from numpy.typing import NDArray

from resift.text.batch import Batch


class Network(Protocol):
    """A model that runs a batch."""

    model: Any
    """The ``torch.nn.Module`` with all the weights."""
    config: Any
    """The model's configuration in transformers."""

    def __call__(self, batch: Batch) -> Any:
        """Run ``[batch, length]`` token ids; returns ``[batch, labels]`` on the model's device."""


def to_device(array: NDArray[Any], device: Any) -> Any:
    """Copy ``array`` to a tensor on ``device``; the copy to a GPU may end after the return."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


class PaddedNetwork:
    """A model of transformers on padded batches.

    ``inputs`` are the names of the arrays of ``Batch`` that it takes, and ``constants`` values of
    further inputs, ``[batch, 1]``. With ``last``, the outputs are those at each pair's last token;
    otherwise the model gives one row for each pair.
    """

    def __init__(
        self, model: Any, inputs: Sequence[str], *, last: bool = False, **constants: Any
    ) -> None:
        self.model, self.config = model, model.config
        self._inputs, self._last, self._constants = tuple(inputs), last, constants

    def __call__(self, batch: Batch) -> Any:
        """Run a batch; see ``Network``."""
        device = self.model.device
        tensors = {name: to_device(getattr(batch, name), device) for name in self._inputs}
        rows = len(batch.input_ids)
        constants = {
            name: torch.full((rows, 1), value, device=device)
            for name, value in self._constants.items()
        }
        logits = self.model(**tensors, **constants).logits
        if logits.ndim == 2:
            return logits
        if not self._last:
            return logits[:, 0]
        last = to_device(batch.attention_mask.sum(axis=1) - 1, device)
        return logits[torch.arange(rows, device=device), last]
