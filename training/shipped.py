"""The two graphs that are shipped, in int8 and in float32, over one file of int8 weights."""

import copy
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from resift.export.graph import Libraries, drop_unused
from resift.export.int8 import row_int8
from resift.export.smoothing import smoothing
from resift.export.words import words_int8
from resift.tokenization import Batch, Pair, PairTokenizer

# Below this, weights stay in the graph's own file.
_SMALL = 1024
# What a processor's vectors like to begin at.
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
            yield self.tokenizer.collate([Pair(request.query, request.documents[0].windows[0])])


def in_int8(model: onnx.ModelProto, pairs: CalibrationPairs) -> onnx.ModelProto:
    """A copy of the float32 `model` with products in int8, as `resift export` writes them."""
    libraries = Libraries(torch=None, transformers=None, onnx=onnx)
    model = copy.deepcopy(model)
    factors = smoothing(libraries, model, pairs)
    words_int8(libraries, model)
    row_int8(libraries, model, factors)
    return model


def in_float32(quantised: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the int8 graph with the same rounded weights, whose products run in float32."""
    model = copy.deepcopy(quantised)
    graph = model.graph
    makers = {value: node for node in graph.node for value in node.output}
    nodes = []
    for node in graph.node:
        if node.op_type != "MatMulIntegerToFloat":
            nodes.append(node)
            continue
        tokens, weight, _, scale, _ = node.input
        # What is quantised for the product, and the product by the tokens' scales after it.
        (scaled,) = (each for each in graph.node if node.output[0] in each.input)
        nodes += [
            helper.make_node("Cast", [weight], [f"{weight}_float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{weight}_float", scale], [f"{weight}_wide"]),
            helper.make_node(
                "MatMul", [makers[tokens].input[0], f"{weight}_wide"], [f"{scaled.output[0]}_wide"]
            ),
        ]
        for user in graph.node:
            for at, name in enumerate(user.input):
                if name == scaled.output[0]:
                    user.input[at] = f"{scaled.output[0]}_wide"
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unused(graph)
    kept = [each for each in model.opset_import if each.domain == ""]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    return model


def write(models: dict[Path, onnx.ModelProto], weights: Path) -> None:
    """Write each graph to its path, and what they weigh to `weights` beside them, once."""
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
