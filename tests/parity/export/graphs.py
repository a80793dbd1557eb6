"""Graphs of small encoders, and what they compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from parity.encoders import save_encoder

from resift.backends.onnx import ort
from resift.export import graph
from resift.export.libraries import Libraries
from resift.export.source import Source

onnx: Any = pytest.importorskip("onnx")
Floats = NDArray[np.float32]


def traced(libraries: Libraries, name: str, folder: Path, **changes: Any) -> Any:
    """The graph of a small encoder, with ``changes`` in its configuration; attention is fused."""
    source = Source.load(libraries, save_encoder(name, folder, **changes))
    return graph.trace(libraries, source, fuse=True)


def copy(model: Any) -> Any:
    new = onnx.ModelProto()
    new.CopyFrom(model)
    return new


def kinds(model: Any) -> list[str]:
    """The operator of each node."""
    return [node.op_type for node in model.graph.node]


def batch(pairs: int, length: int) -> dict[str, Any]:
    """Random inputs for a graph, the first of ``length`` tokens and none longer."""
    random = np.random.default_rng(length)
    lengths = random.integers(1, length + 1, pairs)
    lengths[0] = length
    mask = np.arange(length) < lengths[:, None]
    return {
        "input_ids": random.integers(5, 90, (pairs, length)),
        "attention_mask": mask.astype(np.int64),
        "token_type_ids": random.integers(0, 2, (pairs, length)),
    }


def run(model: Any, feed: dict[str, Any]) -> Floats:
    """The first output, of those of ``feed`` that the graph takes."""
    session = _session(model)
    names = [node.name for node in session.get_inputs()]
    output: Floats = session.run(None, {name: feed[name] for name in names})[0]
    return output


def attention_lengths(model: Any) -> list[int]:
    """The number of tokens, of nine, that each attention is computed for."""
    info = onnx.helper.make_tensor_value_info
    names = [node.output[0] for node in model.graph.node if node.op_type == "Attention"]
    del model.graph.output[:]
    model.graph.output.extend(info(name, onnx.TensorProto.FLOAT, None) for name in names)
    session = _session(model)
    feed = {node.name: np.ones((2, 9), dtype=np.int64) for node in session.get_inputs()}
    return [output.shape[2] for output in session.run(names, feed)] if names else []


def _session(model: Any) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options)
