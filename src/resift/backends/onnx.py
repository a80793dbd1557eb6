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
from resift.precision import DYNAMIC_INT8, NARROW_INT8
from resift.text.batch import Batch


def _import_quietly() -> ModuleType:
    # From 1.31, importing ONNX Runtime starts threads that send usage data, and for which a forked
    # child, or now and then the process itself, waits forever at its exit. It reads this variable
    # only once; a value set by the user, or an earlier import, takes precedence.
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
    """Runs an ONNX graph that takes arrays of ``Batch`` by name, with the logits as first output.

    Arguments and errors are those of ``Backend``.
    """

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
        # Padding changes the last digit of a float32 sum, which int8 rounding amplifies.
        self.pads = precision not in ("int8", NARROW_INT8)
        self._session = open_session(
            path, exact=precision in ("int8", DYNAMIC_INT8) and int8_saturates()
        )
        keep_after_fork(self._session)
        self._inputs = [node.name for node in self._session.get_inputs()]
        check_inputs(path, self._inputs)
        self._output = self._session.get_outputs()[0].name

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        """Run ``[batch, length]`` token ids; returns ``float32 [batch, labels]``."""
        (logits,) = self._session.run([self._output], feed(batch, self._inputs))
        return np.asarray(logits, dtype=np.float32)


def lacking(precision: str) -> str | None:
    """The reason why this processor can't run a precision exactly, or ``None`` if it can."""
    largest = {"int8": 127, NARROW_INT8: 64}[precision]
    if not _is_exact(largest, exact=precision == "int8" and int8_saturates()):
        return (
            f"this processor gets products in {precision} wrong on backend 'onnx'. Expected "
            "precision 'fp32'"
        )
    return None


@cache
def int8_saturates() -> bool:
    """Whether ONNX Runtime adds two int8 products in 16 bits on this processor, which saturate.

    It does on x86 without VNNI, unless told to use other instructions, which are exact and slower.
    Golden pairs may not show it: rounding moves a logit nearly as far.
    """
    return not _is_exact(127, exact=False)


def open_session(path: Path, *, exact: bool = False) -> Any:
    """Open an ``onnxruntime.InferenceSession`` that runs in the calling thread alone.

    ``exact`` takes the slower instructions where int8 saturates. Raises ``UnsupportedModelError``
    naming the file.
    """
    options = ort.SessionOptions()
    if exact:
        # onnxruntime_session_options_config_keys.h, kOrtSessionOptionsAvx2PrecisionMode.
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Only errors, which are raised: warnings about graphs would go to standard error.
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    # The binding's exceptions have no common base below Exception.
    except Exception as error:
        raise UnsupportedModelError(f"ONNX Runtime can't load {path}: {error}") from error


@cache
def _is_exact(largest: int, *, exact: bool) -> bool:
    """Whether the largest sums with weights up to ``largest`` (64 or 127) are computed exactly.

    ARM64 without dot products saturates at sums of (-128) × (-128), which our weights never make.
    """
    # Tokens less 128, times a matrix of nothing but the largest: tests/tiny_products.py.
    session = open_session(Path(__file__).with_name(f"int8_products_{largest}.onnx"), exact=exact)
    (tokens,) = session.get_inputs()
    (sums,) = session.run(None, {tokens.name: np.full(tokens.shape, 255, dtype=np.uint8)})
    return bool((sums == 127 * largest * tokens.shape[1]).all())
