"""Matrix products in int8, with one scale for each token that is found as the graph runs.

A token's numbers then depend on that token alone, never on its neighbours: unlike with one scale
for the whole batch, which is what ONNX Runtime's own dynamic quantisation takes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from resift.errors import UnsupportedModelError
from resift.export.graph import Libraries

_MICROSOFT = "com.microsoft"
# Heads of one or two labels cost nothing, and their rounding would show undamped in the logit.
_MIN_SIZE = 16


def row_int8(libraries: Libraries, model: Any) -> Any:
    """Change ``model`` in place, and return it: products by constant matrices run in int8.

    A token ``x [K]`` becomes ``round(x / scale) + 128`` in uint8, with ``scale = max(|x|) / 127``;
    a matrix ``[K, N]`` becomes int8 with one scale for each column. Raises
    ``UnsupportedModelError`` where there is no such product.
    """
    return _Rewriting(libraries.onnx, model).run()


class _Rewriting:
    def __init__(self, onnx: Any, model: Any) -> None:
        self._onnx, self._model = onnx, model
        self._nodes: list[Any] = []
        self._weights = {each.name: each for each in model.graph.initializer}
        self._aliases = {
            node.output[0]: node.input[0]
            for node in model.graph.node
            if node.op_type == "Identity" and node.input[0] in self._weights
        }
        self._tokens: dict[str, str] = {}
        self._matrices: dict[str, tuple[int, int] | None] = {}

    def run(self) -> Any:
        graph = self._model.graph
        self._constant("rows_inverse", np.float32(1 / 127))
        # A token of zeros has a scale too.
        self._constant("rows_least", np.float32(1e-9))
        self._constant("rows_one", np.float32(1))
        self._constant("rows_zero", np.uint8(128))
        for name, numbers in (("first", [0]), ("second", [1]), ("last", [-1])):
            self._constant(f"rows_{name}", np.array(numbers, dtype=np.int64))
        for node in list(graph.node):
            weight = self._aliases.get(node.input[1], node.input[1]) if len(node.input) > 1 else ""
            shape = self._matrix(weight) if node.op_type == "MatMul" else None
            if shape is None:
                self._nodes.append(node)
            else:
                self._product(node.input[0], weight, shape, node.output[0])
        if not self._tokens:
            raise UnsupportedModelError(
                "the graph has no product by a constant matrix, so int8 would change nothing; "
                "expected an encoder's linear layers"
            )
        del graph.node[:]
        graph.node.extend(self._nodes)
        self._drop_unused()
        helper = self._onnx.helper
        self._model.opset_import.append(helper.make_opsetid(_MICROSOFT, 1))
        return self._model

    def _product(self, tokens: str, weight: str, shape: tuple[int, int], output: str) -> None:
        rows = self._quantised(tokens, shape[0])
        name = f"{output}_rows"
        # The operator's own scale of its first input is one number for all tokens.
        product = [f"{rows}_q", f"{weight}_int8", "rows_one", f"{weight}_scale", "rows_zero"]
        self._node("MatMulIntegerToFloat", product, f"{name}_unscaled", domain=_MICROSOFT)
        self._node("Mul", [f"{name}_unscaled", f"{rows}_scale"], name)
        self._node("Concat", [f"{rows}_outer", f"{weight}_width"], f"{name}_shape", axis=0)
        self._node("Reshape", [name, f"{name}_shape"], output)

    def _quantised(self, tokens: str, size: int) -> str:
        """Nodes for ``tokens [..., size]``, once for all products that take them."""
        if tokens in self._tokens:
            return self._tokens[tokens]
        rows = self._tokens[tokens] = f"rows{len(self._tokens)}"
        self._constant(f"{rows}_size", np.array([-1, size], dtype=np.int64))
        self._node("Reshape", [tokens, f"{rows}_size"], f"{rows}_x")
        self._node("Abs", [f"{rows}_x"], f"{rows}_abs")
        self._node("ReduceMax", [f"{rows}_abs", "rows_second"], f"{rows}_max", keepdims=1)
        self._node("Mul", [f"{rows}_max", "rows_inverse"], f"{rows}_step")
        self._node("Max", [f"{rows}_step", "rows_least"], f"{rows}_scale")
        self._node("Reshape", [f"{rows}_scale", "rows_last"], f"{rows}_scales")
        self._node("Shape", [f"{rows}_scales"], f"{rows}_count")
        self._node("Expand", ["rows_zero", f"{rows}_count"], f"{rows}_zeros")
        quantised = [f"{rows}_x", f"{rows}_scales", f"{rows}_zeros"]
        # ONNX Runtime 1.23 lacks the standard's at the opset that has Attention.
        self._node("QuantizeLinear", quantised, f"{rows}_q", domain=_MICROSOFT, axis=0)
        self._node("Shape", [tokens], f"{rows}_shape")
        self._node("Slice", [f"{rows}_shape", "rows_first", "rows_last"], f"{rows}_outer")
        return rows

    def _matrix(self, name: str) -> tuple[int, int] | None:
        """The shape of a constant matrix worth rounding, rounded once; ``None`` for all else."""
        if name in self._matrices:
            return self._matrices[name]
        self._matrices[name] = None
        constant = self._weights.get(name)
        if constant is None or len(constant.dims) != 2 or min(constant.dims) < _MIN_SIZE:
            return None
        weight = self._onnx.numpy_helper.to_array(constant)
        largest = np.abs(weight).max(axis=0)
        scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
        self._constant(f"{name}_int8", np.rint(weight / scale).astype(np.int8))
        self._constant(f"{name}_scale", scale)
        self._constant(f"{name}_width", np.array([weight.shape[1]], dtype=np.int64))
        self._matrices[name] = (weight.shape[0], weight.shape[1])
        return self._matrices[name]

    def _drop_unused(self) -> None:
        graph = self._model.graph
        for kind in (graph.node, graph.initializer):
            used = {name for node in graph.node for name in node.input}
            used |= {output.name for output in graph.output}
            for at in reversed(range(len(kind))):
                made = kind[at].output if kind is graph.node else [kind[at].name]
                if used.isdisjoint(made):
                    del kind[at]

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [output], **attributes))

    def _constant(self, name: str, values: NDArray[Any] | np.generic) -> None:
        constant = self._onnx.numpy_helper.from_array(np.asarray(values), name)
        self._model.graph.initializer.append(constant)
