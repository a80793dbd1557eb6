"""A BERT bi-encoder as one pair-scoring ONNX graph (late interaction).

The graph takes pair inputs, `[CLS] query [SEP] [CLS] document [SEP]` with token types 0 (up to the
first `[SEP]`) and 1, int64 `[batch, length]`, padded at the right, and returns logits float32
`[batch, 1]`:

    relevance = share * cosine(mean of the query's vectors, mean of the document's vectors)
              + mean over the query's inner tokens of the largest cosine to any document token
    logit = slope * relevance + intercept

The second mean is weighted by what each word of the vocabulary is worth (`WORTH` in the state).

The two texts don't see each other: the attention mask is built from the token types, positions
restart at 0 with the document's `[CLS]`, and both carry token type 0. So each is encoded as the
encoder was trained to encode a text by itself; without a `[CLS]` of its own, a document's first
word stands in the place of one, and its vector becomes that. Both means include the special tokens,
as the encoder's own pooling does; the document's tokens include its own, so that an empty document
still has some. The query's inner tokens are all but its first and its last, found by place, because
a text may hold a literal `[SEP]`.

Only operators of the standard ONNX domain are used (opset 23, for `Attention`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 23
IR_VERSION = 11
# Float32 `[vocabulary]`, `LEAST_WORTH` or more: what a query's token counts.
WORTH = "late_interaction.worth"
LEAST_WORTH = np.float32(0.05)
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# Large enough that exp() is exactly 0, finite, so a fully masked row isn't NaN.
MASKED = np.float32(-1e9)

State = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """What the graph needs besides the encoder's weights.

    share, slope, intercept: see the module's formula.
    """

    heads: int
    layers: int
    epsilon: float
    share: float = 1.0
    slope: float = 1.0
    intercept: float = 0.0


def build(state: State, scorer: Scorer) -> onnx.ModelProto:
    """The graph for a BERT `state`: weights `[out, in]` under their Hugging Face names."""
    graph = _Graph()
    input_ids, mask, types = INPUTS

    length = graph.gather(graph.op("Shape", input_ids), graph.const(np.int64(1)))
    index = graph.op("Range", graph.const(np.int64(0)), length, graph.const(np.int64(1)))
    document = graph.op("Mul", mask, types)
    query = graph.op("Sub", mask, document)
    query_length = graph.op("ReduceSum", query, graph.axes(1))  # [batch, 1]

    positions = graph.op("Sub", index, graph.op("Mul", types, query_length))
    hidden = _embed(graph, state, scorer, input_ids, positions)
    bias = _attention_bias(graph, mask, types)
    for number in range(scorer.layers):
        hidden = _layer(graph, state, scorer, f"encoder.layer.{number}", hidden, bias)

    cosine = graph.op(
        "ReduceSum",
        graph.op("Mul", _pooled(graph, hidden, query), _pooled(graph, hidden, document)),
        graph.axes(2),
        keepdims=0,
    )
    worth = graph.gather(graph.const(state[WORTH]), input_ids)
    best = _best_matches(graph, hidden, index, query, query_length, document, worth)
    cosine = graph.op("Mul", cosine, graph.const(np.float32(scorer.share)))
    relevance = graph.op("Add", cosine, best)
    scaled = graph.op("Mul", relevance, graph.const(np.float32(scorer.slope)))
    graph.op("Add", scaled, graph.const(np.float32(scorer.intercept)), output="logits")
    return graph.model()


def _embed(graph: "_Graph", state: State, scorer: Scorer, input_ids: str, positions: str) -> str:
    words = "embeddings.word_embeddings"
    if f"{words}.weight" in state:
        embedded = graph.gather(graph.const(state[f"{words}.weight"]), input_ids)
    else:
        # Narrow words, and the matrix that widens them.
        embedded = graph.gather(graph.const(state[f"{words}.0.weight"]), input_ids)
        embedded = graph.op("MatMul", embedded, graph.const(state[f"{words}.1.weight"].T))
    place = (
        state["embeddings.position_embeddings.weight"]
        + state["embeddings.token_type_embeddings.weight"][0]
    )
    embedded = graph.op("Add", embedded, graph.gather(graph.const(place), positions))
    return _layer_norm(graph, state, scorer, "embeddings.LayerNorm", embedded)


def _attention_bias(graph: "_Graph", mask: str, types: str) -> str:
    """Float32 `[batch, 1, length, length]`: 0 where a token sees another of its text."""
    same_text = graph.op(
        "Equal",
        graph.op("Unsqueeze", types, graph.axes(2)),
        graph.op("Unsqueeze", types, graph.axes(1)),
    )
    present = graph.bool(graph.op("Unsqueeze", mask, graph.axes(1)))
    visible = graph.op("And", same_text, present)
    bias = graph.op("Where", visible, graph.const(np.float32(0)), graph.const(MASKED))
    return graph.op("Unsqueeze", bias, graph.axes(1))


def _layer(
    graph: "_Graph", state: State, scorer: Scorer, prefix: str, hidden: str, bias: str
) -> str:
    names = [f"{prefix}.attention.self.{part}" for part in ("query", "key", "value")]
    # One matmul for the three projections.
    projected = _affine(
        graph,
        hidden,
        np.concatenate([state[f"{name}.weight"] for name in names]),
        np.concatenate([state[f"{name}.bias"] for name in names]),
    )
    parts = graph.ops("Split", projected, outputs=3, axis=-1, num_outputs=3)
    context = graph.op(
        "Attention", *parts, bias, q_num_heads=scorer.heads, kv_num_heads=scorer.heads
    )
    attended = _dense(graph, state, f"{prefix}.attention.output.dense", context)
    hidden = _layer_norm(
        graph,
        state,
        scorer,
        f"{prefix}.attention.output.LayerNorm",
        graph.op("Add", attended, hidden),
    )
    inner = graph.op("Gelu", _dense(graph, state, f"{prefix}.intermediate.dense", hidden))
    outer = _dense(graph, state, f"{prefix}.output.dense", inner)
    return _layer_norm(
        graph, state, scorer, f"{prefix}.output.LayerNorm", graph.op("Add", outer, hidden)
    )


def _dense(graph: "_Graph", state: State, prefix: str, value: str) -> str:
    return _affine(graph, value, state[f"{prefix}.weight"], state[f"{prefix}.bias"])


def _affine(
    graph: "_Graph",
    value: str,
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
) -> str:
    return graph.op("Add", graph.op("MatMul", value, graph.const(weight.T)), graph.const(bias))


def _layer_norm(graph: "_Graph", state: State, scorer: Scorer, prefix: str, value: str) -> str:
    weight, bias = (graph.const(state[f"{prefix}.{part}"]) for part in ("weight", "bias"))
    return graph.op("LayerNormalization", value, weight, bias, epsilon=scorer.epsilon)


def _pooled(graph: "_Graph", hidden: str, mask: str) -> str:
    """The unit vector `[batch, 1, hidden]` along the mean of the tokens in `mask`.

    A sum will do for the mean: they differ in length alone.
    """
    row = graph.float(graph.op("Unsqueeze", mask, graph.axes(1)))
    return _unit(graph, graph.op("MatMul", row, hidden))


def _unit(graph: "_Graph", vectors: str) -> str:
    norm = graph.op("ReduceL2", vectors, graph.axes(-1))
    return graph.op("Div", vectors, graph.op("Max", norm, graph.const(np.float32(1e-12))))


def _best_matches(
    graph: "_Graph",
    hidden: str,
    index: str,
    query: str,
    query_length: str,
    document: str,
    worth: str,
) -> str:
    """Float32 `[batch, 1]`: the mean largest cosine of the inner query tokens, 0 without any."""
    unit = _unit(graph, hidden)
    # The queries stand in front: no row after the longest one can count.
    longest = graph.op("ReduceMax", query_length, graph.axes(0, 1), keepdims=0)
    longest = graph.op("Unsqueeze", longest, graph.axes(0))
    rows = graph.op("Slice", unit, graph.axes(0), longest, graph.axes(1))
    cosines = graph.op("MatMul", rows, graph.op("Transpose", unit, perm=[0, 2, 1]))
    in_document = graph.bool(graph.op("Unsqueeze", document, graph.axes(1)))
    cosines = graph.op("Where", in_document, cosines, graph.const(np.float32(-1)))
    best = graph.op("ReduceMax", cosines, graph.axes(2), keepdims=0)

    last = graph.op("Sub", query_length, graph.const(np.int64(1)))
    after_first = graph.op("Greater", index, graph.const(np.int64(0)))
    between = graph.op("And", after_first, graph.op("Less", index, last))
    inner = graph.float(graph.op("And", between, graph.bool(query)))
    inner = graph.op("Mul", inner, worth)
    inner = graph.op("Slice", inner, graph.axes(0), longest, graph.axes(1))
    count = graph.op("ReduceSum", inner, graph.axes(1))
    total = graph.op("ReduceSum", graph.op("Mul", best, inner), graph.axes(1))
    # Only without any inner token is the sum less.
    return graph.op("Div", total, graph.op("Max", count, graph.const(LEAST_WORTH)))


class _Graph:
    """Collects nodes and constants; every method returns the name of a value."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._small: dict[tuple[Any, ...], str] = {}

    def const(self, value: NDArray[Any] | np.generic) -> str:
        array = np.ascontiguousarray(value).reshape(np.shape(value))
        key = (array.dtype.str, array.shape, array.tobytes())
        if array.size > 4 or key not in self._small:
            name = f"constant_{len(self._constants)}"
            self._constants.append(numpy_helper.from_array(array, name))
            if array.size > 4:
                return name
            self._small[key] = name
        return self._small[key]

    def axes(self, *values: int) -> str:
        return self.const(np.array(values, np.int64))

    def ops(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        number = len(self._nodes)
        names = [f"{kind}_{number}_{output}" for output in range(outputs)]
        self._nodes.append(helper.make_node(kind, inputs, names, f"{kind}_{number}", **attributes))
        return names

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        (name,) = self.ops(kind, *inputs, outputs=1, **attributes)
        if output is not None:
            self._nodes[-1].output[0] = name = output
        return name

    def gather(self, table: str, rows: str) -> str:
        return self.op("Gather", table, rows, axis=0)

    def float(self, value: str) -> str:
        return self.op("Cast", value, to=TensorProto.FLOAT)

    def bool(self, value: str) -> str:
        return self.op("Cast", value, to=TensorProto.BOOL)

    def model(self) -> onnx.ModelProto:
        shape = ["batch", "length"]
        model = helper.make_model(
            helper.make_graph(
                self._nodes,
                "late_interaction",
                [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in INPUTS],
                [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1])],
                self._constants,
            ),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="resift-training",
        )
        onnx.checker.check_model(model, full_check=True)
        return model
