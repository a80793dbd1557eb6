"""ONNX Runtime on the CPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resift.backends.fork import keep_after_fork
from resift.backends.inputs import check_cpu, check_inputs, feed, refuse_vocabulary
from resift.errors import UnsupportedModelError
from resift.tokenization import Batch


def _import_quietly() -> ModuleType:
    # From 1.31, importing ONNX Runtime starts threads that send usage data, and in which a forked
    # child, or now and then the process itself, waits for ever at its exit. It reads this variable
    # only once; whoever sets it, or has imported ONNX Runtime already, has the say.
    name = "ORT_DISABLE_TELEMETRY"
    ours = name not in os.environ
    if ours:
        os.environ[name] = "1"
    try:
        return import_module("onnxruntime")
    finally:
        if ours:
            del os.environ[name]


ort = _import_quietly()


class OnnxBackend:
    """An ONNX graph that takes some of ``Batch``'s arrays by name and gives logits first."""

    # Measured in benchmarks/NOTES.md, and so is one thread for each pass.
    max_batch_tokens = 256
    length_multiple = 1

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
        check_cpu("onnx", device)
        refuse_vocabulary(path, vocabulary_ids)
        self.workers = threads
        # All else about the precision is in the graph. Padding changes the last digit of a float32
        # sum, and rounding to int8 makes much of that.
        self.pads = precision != "int8"
        self._session = open_session(path)
        keep_after_fork(self._session)
        self._inputs = [node.name for node in self._session.get_inputs()]
        check_inputs(path, self._inputs)
        self._output = self._session.get_outputs()[0].name

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        """``[batch, length]`` token ids to the graph's first output as float32."""
        (logits,) = self._session.run([self._output], feed(batch, self._inputs))
        return np.asarray(logits, dtype=np.float32)


def lacking(precision: str) -> str | None:
    """Why this processor can't run a precision exactly, or ``None`` where it can."""
    if precision == "int8" and not _int8_products_are_exact():
        return (
            "this processor gets int8 products wrong on backend 'onnx': it lacks the instructions "
            "for them (AVX-512 VNNI or AVX-VNNI). Expected precision 'fp32'"
        )
    return None


def open_session(path: Path) -> Any:
    """It runs in the calling thread alone. Raises ``UnsupportedModelError`` naming the file."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Warnings about graphs go to standard error; faults are raised.
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    # The binding's exceptions have no common base below Exception.
    except Exception as error:
        raise UnsupportedModelError(f"ONNX Runtime can't load {path}: {error}") from error


@cache
def _int8_products_are_exact() -> bool:
    """Whether sums of the largest products are right. AVX2 adds in 16 bits, which cuts them off.

    Golden pairs can't be sure to show it: roundings move a logit nearly as far. Of weights from
    -127 to 127, that is: ARM64 without dot products cuts off sums of (-128) × (-128), and nothing
    else, so it computes the weights that ``resift export`` writes.
    """
    # (tokens - 128) times a matrix of 127: tests/tiny_products.py.
    session = open_session(Path(__file__).with_name("int8_products.onnx"))
    (tokens,) = session.get_inputs()
    (sums,) = session.run(None, {tokens.name: np.full(tokens.shape, 255, dtype=np.uint8)})
    return bool((sums == 127 * 127 * tokens.shape[1]).all())
