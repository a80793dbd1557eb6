"""How fast this machine multiplies matrices: JSON, GFLOP/s for each precision and engine.

    python ceiling.py THREADS SECONDS

The best of all runs in so many seconds for each engine and size.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from adapters import limit_process

# Rows as of a batch of 2048 tokens; the other two large enough that no engine is held up by them.
_SHAPES = ((2048, 1536, 1536), (4096, 2048, 2048))


def main(threads: int, seconds: float) -> None:
    """Print the best of both shapes."""
    limit_process(threads)
    numpy, torch = import_module("numpy"), import_module("torch")
    onnx, ort = import_module("onnx"), import_module("onnxruntime")
    torch.set_num_threads(threads)
    best: dict[str, dict[str, float]] = {"fp32": {}, "bf16": {}, "int8": {}}

    def record(precision: str, engine: str, shape: tuple[int, int, int], product: Any) -> None:
        rate = 2 * shape[0] * shape[1] * shape[2] / _fastest(product, seconds) / 1e9
        best[precision][engine] = max(rate, best[precision].get(engine, 0.0))

    for shape in _SHAPES:
        rows, inner, columns = shape
        left = numpy.random.default_rng(0).standard_normal((rows, inner), dtype=numpy.float32)
        right = numpy.random.default_rng(1).standard_normal((inner, columns), dtype=numpy.float32)
        record("fp32", "numpy", shape, lambda a=left, b=right: a @ b)
        a, b = torch.from_numpy(left), torch.from_numpy(right)
        record("fp32", "torch", shape, lambda a=a, b=b: a @ b)
        a16, b16 = a.bfloat16(), b.bfloat16()
        record("bf16", "torch", shape, lambda a=a16, b=b16: a @ b)
        a8 = torch.randint(-128, 128, a.shape, dtype=torch.int8)
        b8 = torch.randint(-128, 128, b.shape, dtype=torch.int8)
        record("int8", "torch", shape, lambda a=a8, b=b8: torch._int_mm(a, b))
        for precision, hint in (("fp32", "f32"), ("bf16", "bf16")):
            compiled = _openvino(left, right, hint, threads)
            record(precision, "openvino", shape, lambda c=compiled, x=left: c.infer({0: x}))
        for precision, operator, x, y in (
            ("fp32", "MatMul", left, right),
            ("int8", "MatMulInteger", a8.numpy().view(numpy.uint8), b8.numpy()),
        ):
            session = _session(onnx, ort, operator, x, y, threads)
            record(precision, "onnxruntime", shape, lambda s=session, x=x: s.run(None, {"x": x}))
    sys.stdout.write(json.dumps(best) + "\n")


def _fastest(product: Callable[[], object], seconds: float) -> float:
    product()
    times = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        start = time.perf_counter()
        product()
        times.append(time.perf_counter() - start)
    return min(times)


def _openvino(x: Any, y: Any, hint: str, threads: int) -> Any:
    """The same as ``_session``; the bf16 one is given and gives float32, as in a model."""
    openvino, operators = import_module("openvino"), import_module("openvino.opset13")
    parameter = operators.parameter(x.shape, dtype=x.dtype)
    model = openvino.Model([operators.matmul(parameter, y, False, False)], [parameter])
    config = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads}
    return openvino.Core().compile_model(model, "CPU", config).create_infer_request()


def _session(onnx: Any, ort: Any, operator: str, x: Any, y: Any, threads: int) -> Any:
    """A graph of one product, its right side constant, as weights are."""
    kinds = {"float32": 1, "uint8": 2, "int32": 6}
    out = kinds["float32"] if operator == "MatMul" else kinds["int32"]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(operator, ["x", "y"], ["z"])],
        "product",
        [onnx.helper.make_tensor_value_info("x", kinds[x.dtype.name], x.shape)],
        [onnx.helper.make_tensor_value_info("z", out, [x.shape[0], y.shape[1]])],
        [onnx.numpy_helper.from_array(y, "y")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 9
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(model.SerializeToString(), options)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
