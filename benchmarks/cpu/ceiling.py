"""How fast this machine multiplies matrices: JSON, GFLOP/s for each precision and engine.

    python ceiling.py THREADS SECONDS

The best of all runs in so many seconds for each engine, with matrices that grow until the next
product would not end in time: without the instructions for it, some take minutes for a large one.
What can't be done is under ``failed``, with its reason.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from adapters import limit_process

Shape = tuple[int, int, int]
"""Rows, inner, columns."""
Maker = Callable[[Shape, int], Callable[[], object]]
"""From a shape and a number of threads to a function that does one product."""

# The last two have rows as of a batch of 2048 tokens, and are large enough that no engine is held
# up by them.
_SHAPES: tuple[Shape, ...] = (
    (256, 256, 256),
    (1024, 512, 512),
    (2048, 1536, 1536),
    (4096, 2048, 2048),
)


def main(threads: int, seconds: float) -> None:
    """Print the best of each."""
    limit_process(threads)
    best: dict[str, dict[str, float]] = {}
    failed: dict[str, str] = {}
    for (precision, engine), make in _ENGINES.items():
        try:
            rate = fastest(make, threads, seconds)
        # An engine that isn't there, or refuses, has no ceiling.
        except Exception as error:
            failed[f"{precision} on {engine}"] = f"{type(error).__name__}: {error}"
            continue
        best.setdefault(precision, {})[engine] = rate / 1e9
    sys.stdout.write(json.dumps({"best": best, "failed": failed}) + "\n")


def fastest(
    make: Maker, threads: int, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Operations a second of the fastest product within about ``seconds``."""
    best = 0.0
    until = clock() + seconds
    for place, (rows, inner, columns) in enumerate(_SHAPES):
        operations = 2 * rows * inner * columns
        # It runs twice at least, the first time to warm up.
        if best and 2 * operations / best > until - clock():
            break
        product = make((rows, inner, columns), threads)
        product()
        share = clock() + (until - clock()) / (len(_SHAPES) - place)
        while True:
            start = clock()
            product()
            end = clock()
            best = max(best, operations / (end - start))
            if end >= share:
                break
    return best


def _floats(shape: Shape) -> tuple[Any, Any]:
    numpy = import_module("numpy")
    rows, inner, columns = shape
    generator = numpy.random.default_rng(0)
    return (
        generator.standard_normal((rows, inner), dtype=numpy.float32),
        generator.standard_normal((inner, columns), dtype=numpy.float32),
    )


def _integers(shape: Shape) -> tuple[Any, Any]:
    """Unsigned and signed, as tokens and weights are."""
    numpy = import_module("numpy")
    rows, inner, columns = shape
    generator = numpy.random.default_rng(0)
    return (
        generator.integers(0, 256, (rows, inner), dtype=numpy.uint8),
        generator.integers(-128, 128, (inner, columns), dtype=numpy.int8),
    )


def _numpy(shape: Shape, threads: int) -> Callable[[], object]:
    del threads
    a, b = _floats(shape)
    return lambda: a @ b


def _torch(shape: Shape, threads: int, dtype: str) -> Callable[[], object]:
    torch = import_module("torch")
    torch.set_num_threads(threads)
    a, b = (torch.from_numpy(each).to(getattr(torch, dtype)) for each in _floats(shape))
    return lambda: a @ b


def _torch_int8(shape: Shape, threads: int) -> Callable[[], object]:
    torch = import_module("torch")
    torch.set_num_threads(threads)
    a, b = (torch.from_numpy(each.view("int8")) for each in _integers(shape))
    return lambda: torch._int_mm(a, b)


def _openvino(shape: Shape, threads: int, hint: str) -> Callable[[], object]:
    """Its right side is constant, as weights are; in bf16 too it is given and gives float32."""
    openvino, operators = import_module("openvino"), import_module("openvino.opset13")
    x, y = _floats(shape)
    parameter = operators.parameter(x.shape, dtype=x.dtype)
    model = openvino.Model([operators.matmul(parameter, y, False, False)], [parameter])
    config = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads}
    compiled = openvino.Core().compile_model(model, "CPU", config)
    # A hint that the processor can't follow is ignored.
    taken = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    if taken != hint:
        raise RuntimeError(f"OpenVINO computes in {taken} here")
    request = compiled.create_infer_request()
    return lambda: request.infer({0: x})


def _onnxruntime(shape: Shape, threads: int, operator: str) -> Callable[[], object]:
    """A graph of one product, its right side constant."""
    onnx, ort = import_module("onnx"), import_module("onnxruntime")
    x, y = _floats(shape) if operator == "MatMul" else _integers(shape)
    types = onnx.TensorProto
    out = types.FLOAT if operator == "MatMul" else types.INT32
    given = onnx.helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(operator, ["x", "y"], ["z"])],
        "product",
        [onnx.helper.make_tensor_value_info("x", given, x.shape)],
        [onnx.helper.make_tensor_value_info("z", out, [x.shape[0], y.shape[1]])],
        [onnx.numpy_helper.from_array(y, "y")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 9
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(model.SerializeToString(), options)
    return lambda: session.run(None, {"x": x})


_ENGINES: dict[tuple[str, str], Maker] = {
    ("fp32", "numpy"): _numpy,
    ("fp32", "torch"): lambda shape, threads: _torch(shape, threads, "float32"),
    ("fp32", "openvino"): lambda shape, threads: _openvino(shape, threads, "f32"),
    ("fp32", "onnxruntime"): lambda shape, threads: _onnxruntime(shape, threads, "MatMul"),
    ("bf16", "torch"): lambda shape, threads: _torch(shape, threads, "bfloat16"),
    ("bf16", "openvino"): lambda shape, threads: _openvino(shape, threads, "bf16"),
    ("int8", "torch"): _torch_int8,
    ("int8", "onnxruntime"): lambda shape, threads: _onnxruntime(shape, threads, "MatMulInteger"),
}


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
