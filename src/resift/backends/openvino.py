"""OpenVINO on the CPU: float32, and bfloat16 from the same weights."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resift.backends.fork import keep_after_fork
from resift.backends.inputs import check_cpu, check_inputs, feed, refuse_vocabulary
from resift.errors import UnsupportedModelError
from resift.text.batch import Batch

_PRECISIONS = {"fp32": "f32", "bf16": "bf16"}


def _import_quietly() -> ModuleType:
    # Importing OpenVINO sends usage data to an analytics service, through a package that it doesn't
    # need. An earlier import takes precedence.
    name = "openvino_telemetry"
    hidden = name not in sys.modules
    if hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        return import_module("openvino")
    finally:
        if hidden:
            del sys.modules[name]


openvino = _import_quietly()


class OpenVinoBackend:
    """Runs an ONNX graph that takes arrays of ``Batch`` by name, with the logits as first output.

    Arguments and errors are those of ``Backend``.
    """

    # Measured in benchmarks/NOTES.md. With lengths that aren't multiples of 16, logits in bfloat16
    # move with the padding.
    max_batch_tokens = 256
    length_multiple = 16
    pads = True

    device = "cpu"

    def __init__(
        self,
        path: Path,
        *,
        device: str | None,
        precision: str,
        threads: int,
        vocabulary_ids: Sequence[int] = (),
    ) -> None:
        check_cpu("openvino", device)
        refuse_vocabulary(path, vocabulary_ids)
        core = openvino.Core()
        self.workers = threads
        try:
            model = core.compile_model(str(path), "CPU", _properties(precision, threads))
        except Exception as error:
            raise UnsupportedModelError(f"OpenVINO can't load {path}: {error}") from error
        keep_after_fork(model)
        self._inputs = [each.get_any_name() for each in model.inputs]
        check_inputs(path, self._inputs)
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(threads):
            request = model.create_infer_request()
            keep_after_fork(request)
            self._idle.put(request)

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        """Run ``[batch, length]`` token ids; returns ``float32 [batch, labels]``."""
        request = self._idle.get()
        try:
            request.infer(feed(batch, self._inputs), share_inputs=True)
            # A copy: the next pass overwrites the request's own memory.
            return np.array(request.get_output_tensor(0).data, dtype=np.float32)
        finally:
            self._idle.put(request)


def lacking(precision: str) -> str | None:
    """The reason why this processor can't run a precision, or ``None`` if it can."""
    if precision == "bf16":
        capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if "BF16" not in capabilities:
            return (
                "this processor has no bfloat16 on backend 'openvino', only "
                f"{', '.join(capabilities)}. Expected precision 'fp32'"
            )
    return None


def _properties(precision: str, threads: int) -> dict[str, Any]:
    return {
        # Always set: the default is whatever the processor is fastest in.
        "INFERENCE_PRECISION_HINT": _PRECISIONS[precision],
        "NUM_STREAMS": str(threads),
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,
        # Otherwise weights that are stored in int8 are multiplied in int8, whatever the precision.
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
    }
