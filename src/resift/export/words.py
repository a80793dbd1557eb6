"""Word embeddings in int8: often most of a file, though each batch reads only a few rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from resift.export.graph import attribute, drop_unused
from resift.export.int8 import quantise
from resift.export.libraries import Libraries


def words_int8(libraries: Libraries, model: Any) -> bool:
    """Change ``model`` in place where it has a table with a row for each token id.

    Returns whether it has one.
    """
    onnx, graph = libraries.onnx, model.graph
    tables = {each.name: each for each in graph.initializer if len(each.dims) == 2}
    found = [
        at
        for at, node in enumerate(graph.node)
        if node.op_type == "Gather" and node.input[0] in tables and node.input[1] == "input_ids"
        if attribute(node, "axis", 0) == 0
    ]
    if not found:
        return False
    at = found[0]
    table, output = graph.node[at].input[0], graph.node[at].output[0]
    values, scale = quantise(onnx.numpy_helper.to_array(tables[table]).T)
    constants = {"words_int8": np.ascontiguousarray(values.T), "words_scale": scale[:, None]}
    for name, content in constants.items():
        graph.initializer.append(onnx.numpy_helper.from_array(content, name))
    make = onnx.helper.make_node
    new = [
        make("Gather", ["words_int8", "input_ids"], ["words_rows"]),
        make("Cast", ["words_rows"], ["words_steps"], to=onnx.TensorProto.FLOAT),
        make("Gather", ["words_scale", "input_ids"], ["words_scales"]),
        make("Mul", ["words_steps", "words_scales"], [output]),
    ]
    del graph.node[at]
    for each in reversed(new):
        graph.node.insert(at, each)
    drop_unused(graph)
    return True
