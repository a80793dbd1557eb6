"""The last layer for the first token alone, where the head reads no other token.

Keys and values are still computed for all tokens; queries, and everything after the attention, for
one. The logits stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from resift.export.graph import attribute, constants, drop_unused, shapes
from resift.export.libraries import Libraries

# Operators whose every output number comes from the input numbers at the same place.
_ELEMENTWISE = (
    *("Add", "Cast", "Div", "Elu", "Erf", "Gelu", "Identity", "LeakyRelu", "Mul", "Neg", "Pow"),
    *("Relu", "Sigmoid", "Sqrt", "Sub", "Tanh"),
)
_COSTLY = ("Attention", "MatMul")


def first_token_only(libraries: Libraries, model: Any) -> bool:
    """Change ``model`` in place and return ``True``, or leave it and return ``False``.

    It is left where the head reads more than the first token, and where an operator between the
    head and the last attention is unknown to this module.
    """
    return _Rewriting(libraries, model).run()


class _Rewriting:
    def __init__(self, libraries: Libraries, model: Any) -> None:
        self._onnx, self._graph = libraries.onnx, model.graph
        self._constants = constants(libraries, model)
        self._shapes = shapes(libraries, model)
        self._makers = {value: node for node in self._graph.node for value in node.output}
        self._full: set[str] = set()
        self._new: list[Any] = []
        self._first: dict[str, str] = {}
        self._numbers: dict[str, int] = {}

    def run(self) -> bool:
        pools = [node for node in self._graph.node if self._takes_the_first_token(node)]
        if len(pools) != 1:
            return False
        (pool,) = pools
        before = {node.output[0] for node in self._ancestors(pool.input[:1])}
        attentions = [node for node in self._graph.node if node.op_type == "Attention"]
        last = [node for node in attentions if node.output[0] in before][-1]
        for node in self._ancestors(last.input[1:3]):
            self._full.update(node.output)
        first = self._first_of(pool.input[0], 1)
        if all(node.op_type != "Attention" for node in self._new):
            return False

        changed = self._onnx.GraphProto(output=self._graph.output)
        for node in self._graph.node:
            if node.output[0] == pool.output[0]:
                changed.node.extend(self._new)
            changed.node.append(self._known_size(node) or node)
            if node.output[0] == pool.output[0]:
                changed.node[-1].input[0] = first
        drop_unused(changed)
        # If anything else needs the last layer of all tokens, both forms would be computed.
        if any(_count(changed, kind) > _count(self._graph, kind) for kind in _COSTLY):
            return False
        del self._graph.node[:]
        self._graph.node.extend(changed.node)
        for name, number in self._numbers.items():
            values = np.array([number], dtype=np.int64)
            self._graph.initializer.append(self._onnx.numpy_helper.from_array(values, name))
        drop_unused(self._graph)
        return True

    def _takes_the_first_token(self, node: Any) -> bool:
        if node.op_type != "Gather" or attribute(node, "axis", 0) != 1:
            return False
        index = self._constants.get(node.input[1])
        if index is None or index.shape != () or index != 0:
            return False
        return any(each.op_type == "Attention" for each in self._ancestors(node.input[:1]))

    def _ancestors(self, values: Sequence[str]) -> list[Any]:
        """The nodes that make ``values``, and all nodes before them."""
        seen: set[str] = set()
        found, waiting = [], list(values)
        while waiting:
            value = waiting.pop()
            node = self._makers.get(value)
            if node is None or value in seen:
                continue
            seen.update(node.output)
            found.append(node)
            waiting.extend(node.input)
        return found

    def _first_of(self, value: str, axis: int) -> str:
        """The name of ``value`` cut to the first token along ``axis``."""
        if value in self._first:
            return self._first[value]
        name = self._first[value] = f"{value}_first"
        node = self._makers.get(value)
        inputs = None if node is None or value in self._full else self._inputs(node, axis)
        if inputs is None:
            self._slice(value, name, axis)
        else:
            new = self._onnx.NodeProto()
            new.CopyFrom(node)
            new.name = ""
            new.input[:], new.output[:] = inputs, [name]
            self._new.append(new)
        return name

    def _slice(self, value: str, name: str, axis: int) -> None:
        inputs = [value, self._number(0), self._number(1), self._number(axis)]
        self._new.append(self._onnx.helper.make_node("Slice", inputs, [name]))

    def _number(self, number: int) -> str:
        name = f"first_number_{number}"
        self._numbers[name] = number
        return name

    def _inputs(self, node: Any, axis: int) -> list[str] | None:
        """The inputs of ``node`` for its output's first token; ``None`` for an unknown operator."""
        rank = len(self._shapes.get(node.output[0], ()))
        if node.domain or len(node.output) != 1 or rank <= axis + 1:
            return None
        first, *others = node.input
        match node.op_type:
            case kind if kind in _ELEMENTWISE:
                return self._aligned(node, axis - rank)
            case "LayerNormalization" if attribute(node, "axis", -1) == -1:
                return [self._first_of(first, axis), *others]
            case "MatMul" if len(self._shapes.get(others[0], ())) == 2:
                return [self._first_of(first, axis), *others]
            case "Slice" if len(others) > 2 and self._elsewhere(others[2], axis, rank):
                return [self._first_of(first, axis), *others]
            case "Transpose":
                return [self._first_of(first, attribute(node, "perm", ())[axis])]
            case "Reshape" if axis == 1 and (shape := self._shape_of_one_token(others[0])):
                return [self._first_of(first, 1), shape]
            case "Attention" if axis == 2 and len(others) == 3 and not _is_causal(node):
                return [self._first_of(first, 2), *others[:2], self._mask(others[2])]
        return None

    def _aligned(self, node: Any, axis: int) -> list[str] | None:
        """Cut the inputs along ``axis``, counted from the end; broadcast inputs stay whole."""
        ranks = [len(self._shapes[each]) if each in self._shapes else None for each in node.input]
        if None in ranks:
            return None
        return [
            value if rank + axis < 0 else self._first_of(value, rank + axis)
            for value, rank in zip(node.input, ranks, strict=True)
            if rank is not None
        ]

    def _elsewhere(self, axes: str, axis: int, rank: int) -> bool:
        sliced = self._constants.get(axes)
        return sliced is not None and axis not in [int(each) % rank for each in sliced]

    def _shape_of_one_token(self, shape: str) -> str | None:
        """A shape made of the batch's size, the number of tokens, and others, for one token."""
        node = self._makers.get(shape)
        if node is None or node.op_type != "Concat":
            return None
        if [self._size(part) for part in node.input[:2]] != [0, 1]:
            return None
        name = f"{shape}_first"
        # Zero means the input's own size.
        parts = [self._number(0), self._number(0), *node.input[2:]]
        self._new.append(self._onnx.helper.make_node("Concat", parts, [name], axis=0))
        return name

    def _size(self, value: str) -> int | None:
        """The axis whose size is ``value``."""
        node = self._makers.get(value)
        while node is not None and node.op_type in ("Cast", "Identity", "Squeeze", "Unsqueeze"):
            node = self._makers.get(node.input[0])
        if node is None or node.op_type != "Gather" or node.input[1] not in self._constants:
            return None
        of = self._makers.get(node.input[0])
        index = self._constants[node.input[1]]
        return int(index.item()) if of is not None and of.op_type == "Shape" else None

    def _known_size(self, node: Any) -> Any:
        """A constant in place of ``node``, where it reads a size that is the same in each batch.

        ``None`` for others. Read at run time, the size would keep the value of all tokens in use.
        """
        of = self._makers.get(node.input[0]) if node.op_type == "Gather" else None
        index = self._constants.get(node.input[1]) if len(node.input) > 1 else None
        if of is None or index is None or of.op_type != "Shape":
            return None
        sizes = self._shapes.get(of.input[0])
        size = None if sizes is None or index.size != 1 else sizes[int(index.item())]
        if size is None:
            return None
        value = self._onnx.numpy_helper.from_array(np.full(index.shape, size, dtype=np.int64))
        return self._onnx.helper.make_node("Constant", [], node.output, value=value)

    def _mask(self, mask: str) -> str:
        """Cut a mask to the first token's row: rows are queries, columns are keys."""
        name = f"{mask}_first_row"
        self._slice(mask, name, -2)
        return name


def _is_causal(node: Any) -> bool:
    return bool(attribute(node, "is_causal", 0))


def _count(graph: Any, kind: str) -> int:
    return sum(node.op_type == kind for node in graph.node)
