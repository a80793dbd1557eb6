"""Matrix products in int8, with one scale for each token, computed as the graph runs.

A token's numbers then depend on that token alone, never on its neighbours. ONNX Runtime's own
dynamic quantisation has one scale for the whole batch instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resift.errors import UnsupportedModelError
from resift.export.graph import drop_unused
from resift.export.libraries import Libraries

Floats = NDArray[np.float32]

_MICROSOFT = "com.microsoft"
# The largest weight; and, for x86 without VNNI, the largest sum of two weights before rounding: two
# products are added there in 16 bits, saturating at 32,767 (Intel's manual, VPMADDUBSW). 255 times
# 128 fits, and rounding may add 1 to the sum.
LARGEST = 127
# Heads of one or two labels cost nothing, and their rounding would show undamped in the logit.
_MIN_SIZE = 16


@dataclass(frozen=True, slots=True)
class Rounding:
    """The rounding of a token ``x`` to ``round(x / scale) + zero`` in uint8."""

    zero: int
    least: float
    """Lower bound of the scale, for all-zero tokens."""

    @property
    def steps(self) -> int:
        """The number of quantisation steps above zero."""
        return 255 - self.zero

    @property
    def signed(self) -> bool:
        """Whether numbers below zero may be as large as those above."""
        return self.zero == 128

    def scale(self, tokens: Floats) -> Floats:
        """The scales ``[rows, 1]`` of ``tokens [rows, size]``."""
        largest = (np.abs(tokens) if self.signed else tokens).max(axis=1, keepdims=True)
        scale: Floats = np.maximum(largest * np.float32(1 / self.steps), np.float32(self.least))
        return scale

    def rounded(self, tokens: Floats) -> Floats:
        """``tokens [rows, size]`` after quantising and dequantising."""
        scale = self.scale(tokens)
        steps = np.clip(np.rint(tokens / scale), -self.zero, 255 - self.zero)
        return np.asarray(steps * scale, dtype=np.float32)


_ROUNDINGS = {
    # GELU is never below -0.1701, which 32 steps of at least 0.17 / 32 hold.
    "Gelu": Rounding(32, 0.17 / 32),
    "Relu": Rounding(0, 1e-9),
}
_SIGNED = Rounding(128, 1e-9)


@dataclass(frozen=True, slots=True)
class Product:
    """A product ``output = tokens [..., K] @ weight [K, N]`` by a constant weight."""

    tokens: str
    weight: str
    output: str
    rounding: Rounding


def products(model: Any) -> Iterator[Product]:
    """The products in ``model`` that are worth running in int8."""
    graph = model.graph
    sizes = {each.name: each.dims for each in graph.initializer}
    makers = {value: node for node in graph.node for value in node.output}
    for node in graph.node:
        if node.op_type != "MatMul":
            continue
        tokens, weight = node.input
        while weight in makers and makers[weight].op_type == "Identity":
            weight = makers[weight].input[0]
        if len(sizes.get(weight, ())) == 2 and min(sizes[weight]) >= _MIN_SIZE:
            kind = makers[tokens].op_type if tokens in makers else ""
            yield Product(tokens, weight, node.output[0], _ROUNDINGS.get(kind, _SIGNED))


def quantise(weight: Floats, *, narrow: bool = False) -> tuple[NDArray[np.int8], Floats]:
    """Quantise ``weight [K, N]`` to int8, with one scale for each column (``[N]``).

    With ``narrow``, no sum of two products, of adjacent rows by tokens in uint8, needs more than 16
    bits. Scales are then larger, by a quarter in most columns.
    """
    largest = np.abs(weight).max(axis=0)
    if narrow:
        largest = np.maximum(largest, pair_sums(weight))
    scale = np.where(largest > 0, largest / LARGEST, 1).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale


def pair_sums(weight: NDArray[Any]) -> Floats:
    """The largest absolute sum of two adjacent rows in each column of ``weight [K, N]``: ``[N]``.

    Tokens are never negative, so positive and negative weights are added separately.
    """
    even = np.pad(weight.astype(np.float32), ((0, len(weight) % 2), (0, 0)))
    sums = [np.maximum(side * even, 0).reshape(-1, 2, weight.shape[1]).sum(1) for side in (1, -1)]
    largest: Floats = np.max(sums, axis=(0, 1))
    return largest


def row_int8(
    libraries: Libraries, model: Any, factors: Mapping[str, Floats], *, narrow: bool = False
) -> Any:
    """Change ``model`` in place, and return it: products by constant matrices run in int8.

    ``factors [K]``, by the name of the tokens ``[..., K]``: the tokens are divided by them first,
    and their matrices multiplied. ``narrow`` is as in ``quantise``. Raises
    ``UnsupportedModelError`` where there is no such product.
    """
    return _Rewriting(libraries.onnx, model, factors, narrow).run()


class _Rewriting:
    def __init__(self, onnx: Any, model: Any, factors: Mapping[str, Floats], narrow: bool) -> None:
        self._onnx, self._model, self._factors, self._narrow = onnx, model, factors, narrow
        self._nodes: list[Any] = []
        self._weights = {each.name: each for each in model.graph.initializer}
        self._tokens: dict[str, str] = {}
        self._known: set[str] = set()

    def run(self) -> Any:
        graph = self._model.graph
        by_output = {each.output: each for each in products(self._model)}
        if not by_output:
            raise UnsupportedModelError(
                "the graph has no product by a constant matrix, so int8 would change nothing; "
                "expected an encoder's linear layers"
            )
        for node in list(graph.node):
            if node.output[0] in by_output:
                self._product(by_output[node.output[0]])
            else:
                self._nodes.append(node)
        del graph.node[:]
        graph.node.extend(self._nodes)
        drop_unused(graph)
        helper = self._onnx.helper
        self._model.opset_import.append(helper.make_opsetid(_MICROSOFT, 1))
        return self._model

    def _product(self, product: Product) -> None:
        weight, output, name = product.weight, product.output, f"{product.output}_rows"
        rows = self._quantised(product)
        # The operator's own scale is one number for all tokens.
        one = self._constant("rows_one", np.float32(1))
        zero = self._constant(f"rows_zero{product.rounding.zero}", np.uint8(product.rounding.zero))
        inputs = [f"{rows}_q", *self._matrix(product), zero]
        inputs.insert(2, one)
        self._node("MatMulIntegerToFloat", inputs, f"{name}_unscaled", domain=_MICROSOFT)
        self._node("Mul", [f"{name}_unscaled", f"{rows}_scale"], name)
        width = self._integers(f"{weight}_width", self._weights[weight].dims[1])
        self._node("Concat", [f"{rows}_outer", width], f"{name}_shape", axis=0)
        self._node("Reshape", [name, f"{name}_shape"], output)

    def _quantised(self, product: Product) -> str:
        """Add the nodes that quantise the tokens, once for all products that take them."""
        tokens, rounding = product.tokens, product.rounding
        if tokens in self._tokens:
            return self._tokens[tokens]
        rows = self._tokens[tokens] = f"rows{len(self._tokens)}"
        size = int(self._weights[product.weight].dims[0])
        first, second, last = (self._integers(f"rows_{each}", each) for each in (0, 1, -1))
        x = f"{rows}_x"
        self._node("Reshape", [tokens, self._integers(f"{rows}_size", -1, size)], x)
        if tokens in self._factors:
            inverse = self._constant(f"{rows}_inverse", 1 / self._factors[tokens])
            self._node("Mul", [x, inverse], f"{rows}_divided")
            x = f"{rows}_divided"
        largest = x
        if rounding.signed:
            self._node("Abs", [x], f"{rows}_abs")
            largest = f"{rows}_abs"
        share = self._constant(f"rows_share{rounding.steps}", np.float32(1 / rounding.steps))
        least = self._constant(f"rows_least{rounding.zero}", np.float32(rounding.least))
        zero = self._constant(f"rows_zero{rounding.zero}", np.uint8(rounding.zero))
        self._node("ReduceMax", [largest, second], f"{rows}_max", keepdims=1)
        self._node("Mul", [f"{rows}_max", share], f"{rows}_step")
        self._node("Max", [f"{rows}_step", least], f"{rows}_scale")
        self._node("Reshape", [f"{rows}_scale", last], f"{rows}_scales")
        self._node("Shape", [f"{rows}_scales"], f"{rows}_count")
        self._node("Expand", [zero, f"{rows}_count"], f"{rows}_zeros")
        quantised = [x, f"{rows}_scales", f"{rows}_zeros"]
        # ONNX Runtime 1.23 lacks the standard operator at the opset that has Attention.
        self._node("QuantizeLinear", quantised, f"{rows}_q", domain=_MICROSOFT, axis=0)
        self._node("Shape", [tokens], f"{rows}_shape")
        self._node("Slice", [f"{rows}_shape", first, last], f"{rows}_outer")
        return rows

    def _matrix(self, product: Product) -> tuple[str, str]:
        """The names of the int8 weights and of their scales."""
        names = f"{product.weight}_int8", f"{product.weight}_scale"
        if names[0] not in self._known:
            weight = self._onnx.numpy_helper.to_array(self._weights[product.weight])
            factors = self._factors.get(product.tokens)
            if factors is not None:
                weight = weight * factors[:, None]
            values, scale = quantise(weight, narrow=self._narrow)
            self._constant(names[0], values)
            self._constant(names[1], scale)
        return names

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [output], **attributes))

    def _integers(self, name: str, *values: int) -> str:
        return self._constant(name, np.array(values, dtype=np.int64))

    def _constant(self, name: str, values: NDArray[Any] | np.generic) -> str:
        if name not in self._known:
            self._known.add(name)
            constant = self._onnx.numpy_helper.from_array(np.asarray(values), name)
            self._model.graph.initializer.append(constant)
        return name
