"""ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from resift.errors import BackendUnavailableError, UnsupportedModelError
from resift.tokenization import Batch


class OnnxBackend:
    """An ONNX graph that takes some of ``Batch``'s arrays by name and gives logits first."""

    def __init__(self, path: Path, *, device: str | None, threads: int) -> None:
        if device not in (None, "cpu"):
            raise BackendUnavailableError(
                f"backend 'onnx' runs on device 'cpu', not {device!r}; leave device out"
            )
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Warnings about graphs go to standard error; faults are raised.
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(
                str(path), sess_options=options, providers=["CPUExecutionProvider"]
            )
        # The binding's exceptions have no common base below Exception.
        except Exception as error:
            raise UnsupportedModelError(f"ONNX Runtime can't load {path}: {error}") from error
        self._inputs = [node.name for node in self._session.get_inputs()]
        unknown = set(self._inputs) - set(Batch.__dataclass_fields__)
        if unknown:
            raise UnsupportedModelError(
                f"{path} takes the inputs {self._inputs}; resift gives "
                f"{list(Batch.__dataclass_fields__)} and nothing for {sorted(unknown)}"
            )
        self._output = self._session.get_outputs()[0].name

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        """``[batch, length]`` token ids to the graph's first output as float32."""
        feed = {name: getattr(batch, name) for name in self._inputs}
        (logits,) = self._session.run([self._output], feed)
        return np.asarray(logits, dtype=np.float32)
