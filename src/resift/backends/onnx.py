"""ONNX Runtime on the CPU."""

from __future__ import annotations

import ctypes
import os
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from resift.errors import BackendUnavailableError, UnsupportedModelError
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
_sessions: WeakSet[Any] = WeakSet()


def _keep_sessions() -> None:
    # A session's threads stay in the parent of a fork. Freed in the child, if only by the
    # interpreter's exit, it would join threads that aren't there; one reference too many
    # prevents that.
    for session in _sessions:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_sessions)


class OnnxBackend:
    """An ONNX graph that takes some of ``Batch``'s arrays by name and gives logits first."""

    def __init__(self, path: Path, *, device: str | None) -> None:
        if device not in (None, "cpu"):
            raise BackendUnavailableError(
                f"backend 'onnx' runs on device 'cpu', not {device!r}; leave device out"
            )
        options = ort.SessionOptions()
        # Two passes on a thread each are faster than one pass on two: benchmarks/NOTES.md.
        options.intra_op_num_threads = 1
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
        _sessions.add(self._session)
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
