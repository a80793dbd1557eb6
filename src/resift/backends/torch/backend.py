"""torch on the CPU, on NVIDIA GPUs, and on Apple's if requested."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from resift.backends.torch.device import (
    DTYPES,
    batch_tokens,
    find_device,
    one_thread,
    placed,
)
from resift.backends.torch.network import Network
from resift.text.batch import Batch


class TorchBackend:
    """Runs a checkpoint in safetensors as transformers does, or the bundled model's graph.

    Arguments and errors are those of ``Backend``. With ``vocabulary_ids``, the outputs are the
    logits of these tokens, in this order; without, those of a classification head.
    """

    length_multiple = 1
    pads = True

    def __init__(
        self,
        path: Path,
        *,
        device: str | None,
        precision: str,
        threads: int,
        vocabulary_ids: Sequence[int] = (),
    ) -> None:
        found = find_device(device, precision)
        self.device = str(found)
        on_cpu = found.type == "cpu"
        # On a GPU, one thread prepares a batch while the other waits for its own.
        self.workers = threads if on_cpu else 2

        def load() -> Network:
            one_thread()
            return placed(self._read(path, found, DTYPES[precision], vocabulary_ids), found)

        # In a separate thread, so that the caller's keeps its number of torch threads.
        with ThreadPoolExecutor(1) as pool:
            self._network = pool.submit(load).result()
        self.max_batch_tokens = batch_tokens(self._network.config, found, DTYPES[precision])
        self._on_cpu = on_cpu

    def _read(self, path: Path, device: Any, dtype: Any, vocabulary_ids: Sequence[int]) -> Network:
        """Read the model at ``path`` onto the CPU, in the form that runs on ``device``."""
        # Imported here: FlagEmbedding's backend, which inherits the rest, runs with a transformers
        # that is too old for these.
        from resift.backends.torch.checkpoint import read_checkpoint
        from resift.backends.torch.late_interaction import read_late_interaction

        if path.suffix == ".onnx":
            return read_late_interaction(path, device, dtype)
        return read_checkpoint(path, device, dtype, vocabulary_ids)

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        """Run ``[batch, length]`` token ids; returns the outputs, ``float32 [batch, labels]``.

        On the CPU, torch runs in the calling thread alone, now and later.
        """
        if self._on_cpu:
            one_thread()
        with torch.inference_mode():
            outputs: NDArray[np.float32] = self._network(batch).float().cpu().numpy()
        return outputs
