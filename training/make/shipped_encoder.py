"""A built model taken apart: the encoder in its graph, and what makes a logit of two texts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from by_text import Parts, Vectors
from files import GRAPHS, read_card, read_formula
from resift.export.graph import drop_unused

_OUTPUT = "last_hidden_state"


@dataclass(frozen=True)
class Shipped:
    """graph: an encoder that `by_text.Encoder` runs. worth: as `by_text.score` takes it."""

    graph: bytes
    worth: Vectors
    share: float
    slope: float
    intercept: float

    def logits(self, parts: Parts) -> NDArray[np.float32]:
        """The model's logits, float32 `[candidates]`, of what `by_text.score` found."""
        relevance = self.share * parts.cosine + parts.match
        return np.asarray(self.slope * relevance + self.intercept, np.float32)


def read(folder: Path, precision: str = "int8") -> Shipped:
    """The model that `build.py` put into `folder`, by its graph of that precision.

    Raises `ValueError` for a graph of another structure.
    """
    model = onnx.load(str(folder / GRAPHS[precision]))
    graph = model.graph
    by_word = [
        node for node in graph.node if node.op_type == "Gather" and "input_ids" in node.input
    ]
    constants = {each.name: each for each in graph.initializer}
    tables = [numpy_helper.to_array(constants[node.input[0]]) for node in by_word]
    flat = [table for table in tables if table.ndim == 1]
    if len(flat) != 1:
        raise ValueError(
            f"{folder / GRAPHS[precision]} has {len(flat)} tables of one number a word; expected a"
            " graph that late_interaction.py writes"
        )
    card = read_card(folder)
    calibration = card["calibration"]
    return Shipped(
        encoder_of(model).SerializeToString(),
        np.asarray(flat[0], np.float32),
        read_formula(card["name"].removeprefix("resift-"))["share"],
        calibration["slope"],
        calibration["intercept"],
    )


def encoder_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model`, a graph of late_interaction.py, left with what makes its last layer's vectors.

    Raises `ValueError` for a graph of another structure.
    """
    graph = model.graph
    norms = [node for node in graph.node if node.op_type == "LayerNormalization"]
    if not norms:
        raise ValueError("no layer norm; expected a graph that late_interaction.py writes")
    norms[-1].output[0], hidden = _OUTPUT, norms[-1].output[0]
    kept = [node for node in graph.node if hidden not in node.input]
    del graph.node[:]
    graph.node.extend(kept)
    graph.output[0].CopyFrom(
        onnx.helper.make_tensor_value_info(
            _OUTPUT, onnx.TensorProto.FLOAT, ["batch", "length", "hidden"]
        )
    )
    drop_unused(graph)
    return model
