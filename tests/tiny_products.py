"""The graphs of ``resift/backends/int8_products_127.onnx`` and ``…_64.onnx``."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 16


def build(largest: int) -> onnx.ModelProto:
    """``sums = (tokens - 128) @ weight``, all of the weight being ``largest``."""
    shape = [SIZE, SIZE]
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["tokens", "weight", "zero"], ["sums"])],
        "int8_products",
        [helper.make_tensor_value_info("tokens", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("sums", TensorProto.INT32, shape)],
        [
            numpy_helper.from_array(np.full(shape, largest, dtype=np.int8), "weight"),
            numpy_helper.from_array(np.array(128, dtype=np.uint8), "zero"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
