"""The graphs that are shipped, in two kinds of int8 and in float32, over one file of weights."""

import copy
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from resift.export.graph import drop_unused
from resift.export.int8 import LARGEST, pair_sums, row_int8
from resift.export.libraries import Libraries
from resift.export.smoothing import smoothing
from resift.export.words import words_int8
from resift.text.batch import Batch, Pair
from resift.text.tokenizer import PairTokenizer

# Below this, weights stay in the graph's own file.
_SMALL = 1024
# Alignment for vector loads.
_ALIGNMENT = 64


@dataclass(frozen=True)
class CalibrationPairs:
    """Pairs of texts whose tokens decide how int8 is smoothed."""

    tokenizer: PairTokenizer
    texts: Sequence[tuple[str, str]]
    window: int

    def some(self, count: int) -> Iterator[Batch]:
        """`count` of them, from all over, each in a batch of its own."""
        for query, document in self.texts[:: max(1, len(self.texts) // count)][:count]:
            request = self.tokenizer.tokenize(
                query, [document], max_length=self.window, long_documents="truncate"
            )
            yield self.tokenizer.collate([Pair(request.query, request.texts[0].windows[0])])


def in_int8(model: onnx.ModelProto, pairs: CalibrationPairs) -> onnx.ModelProto:
    """A copy of the float32 `model` with products in int8, as `resift export` writes them."""
    libraries = Libraries(torch=None, transformers=None, onnx=onnx)
    model = copy.deepcopy(model)
    # Of a scorer, it takes "some" alone.
    factors = smoothing(libraries, model, pairs)  # type: ignore[arg-type]
    words_int8(libraries, model)
    row_int8(libraries, model, factors)
    return model


def in_float32(quantised: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the int8 graph with the same rounded weights, whose products run in float32."""
    model = copy.deepcopy(quantised)
    graph = model.graph
    makers = {value: node for node in graph.node for value in node.output}
    users = {value: node for node in graph.node for value in node.input}
    nodes: list[onnx.NodeProto] = []

    def add(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    column = numpy_helper.from_array(np.array([-1, 1], dtype=np.int64), "column")
    graph.initializer.append(column)
    for node in graph.node:
        if node.op_type != "MatMulIntegerToFloat":
            nodes.append(node)
            continue
        rows, weight, _, scale, _ = node.input
        tokens = makers[makers[rows].input[0]]
        wide = add("Cast", [weight], f"{weight}_float", to=TensorProto.FLOAT)
        wide = add("Mul", [wide, scale], f"{weight}_scaled")
        if tokens.op_type == "Mul":
            # Smoothed: the tokens were divided, which the matrix can be as well.
            inverse = add("Reshape", [tokens.input[1], column.name], f"{weight}_inverse")
            wide = add("Mul", [wide, inverse], f"{weight}_plain")
            tokens = makers[tokens.input[0]]
        # Its tokens were laid out in rows before, multiplied by their scales and laid back after.
        product = users[users[node.output[0]].output[0]]
        add("MatMul", [tokens.input[0], wide], product.output[0])
    products = {each.output[0] for each in nodes if each.op_type == "MatMul"}
    kept = [each for each in nodes if each.op_type == "MatMul" or products.isdisjoint(each.output)]
    del graph.node[:]
    graph.node.extend(kept)
    drop_unused(graph)
    standard = [each for each in model.opset_import if each.domain == ""]
    del model.opset_import[:]
    model.opset_import.extend(standard)
    return model


def in_narrow(path: Path) -> onnx.ModelProto:
    """The int8 graph at `path`, whose weights, the same on disk, are made narrow as it is loaded.

    `resift.export.int8.quantise` says what that is. Where sums of two are too large, the column's
    weights are divided, and rounded again.
    """
    model = onnx.load(str(path), load_external_data=False)
    graph = model.graph
    constants = {each.name: each for each in graph.initializer}
    nodes: list[onnx.NodeProto] = []

    def add(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    for node in graph.node:
        if node.op_type == "MatMulIntegerToFloat":
            weight, scale = node.input[1], node.input[3]
            divisor = f"{weight}_divisor"
            if divisor not in constants:
                sums = pair_sums(numpy_helper.to_array(constants[weight], str(path.parent)))
                values = np.maximum(sums / LARGEST, 1).astype(np.float32)
                constants[divisor] = numpy_helper.from_array(values, divisor)
                graph.initializer.append(constants[divisor])
                wide = add("Cast", [weight], f"{weight}_float", to=TensorProto.FLOAT)
                wide = add("Div", [wide, divisor], f"{weight}_divided")
                wide = add("Round", [wide], f"{weight}_rounded")
                add("Cast", [wide], f"{weight}_narrow", to=TensorProto.INT8)
                add("Mul", [scale, divisor], f"{scale}_narrow")
            node.input[1], node.input[3] = f"{weight}_narrow", f"{scale}_narrow"
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def write(models: dict[Path, onnx.ModelProto], weights: Path) -> None:
    """Write each graph to its path, and their tensors to `weights` beside them, once."""
    offsets: dict[bytes, int] = {}
    with weights.open("wb") as file:
        for path, model in models.items():
            for constant in model.graph.initializer:
                _move(constant, file, offsets, weights.name)
            path.write_bytes(model.SerializeToString(deterministic=True))


def _move(constant: onnx.TensorProto, file: Any, offsets: dict[bytes, int], name: str) -> None:
    content = constant.raw_data
    if len(content) < _SMALL:
        return
    digest = hashlib.sha256(content).digest()
    if digest not in offsets:
        file.write(b"\0" * (-file.tell() % _ALIGNMENT))
        offsets[digest] = file.tell()
        file.write(content)
    constant.ClearField("raw_data")
    constant.data_location = TensorProto.EXTERNAL
    place = {"location": name, "offset": offsets[digest], "length": len(content)}
    for key, value in place.items():
        constant.external_data.add(key=key, value=str(value))
