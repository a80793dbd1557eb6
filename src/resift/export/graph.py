"""Tracing torch models to ONNX: one graph for batches of any size and pairs of any length."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from numpy.typing import NDArray

from resift.export.libraries import Libraries
from resift.export.source import Source

_TRACED = 20
"""The last opset that torch's tracing exporter writes."""
_FUSED = 23
"""The first opset with ``Attention``; operators of opset 20 mean the same in it."""
_IR_VERSION = 10
_NAME = "resift"
# A protobuf message has at most 2 GiB; the graph itself needs some of that.
_MAX_INLINE = 2**31 - 2**24


def trace(libraries: Libraries, source: Source, *, fuse: bool) -> Any:
    """Trace a model to an ``onnx.ModelProto``; ``fuse`` writes each attention as one operator.

    Recognising patterns of many operators afterwards would break with each release of transformers.
    Instead, transformers calls attention by a name, under which a function is registered that
    writes the operator.
    """
    torch, names = libraries.torch, source.inputs
    example = torch.full((2, 9), 5)
    inputs = (example, torch.ones_like(example), torch.zeros_like(example))[: len(names)]
    _register_attention(torch, libraries.transformers)
    with _scratch() as path, torch.no_grad(), warnings.catch_warnings():
        # Ignore tracer warnings: the graph is compared with the source at many lengths.
        warnings.simplefilter("ignore")
        source.model.set_attn_implementation(_NAME if fuse else "eager")
        try:
            torch.onnx.export(
                _logits_only(torch, source.model, names),
                inputs,
                str(path),
                input_names=list(names),
                output_names=["logits"],
                dynamic_axes={name: {0: "batch", 1: "length"} for name in names}
                | {"logits": {0: "batch"}},
                opset_version=_TRACED,
                custom_opsets={_NAME: 1} if fuse else {},
                dynamo=False,
            )
        finally:
            source.model.set_attn_implementation("eager")
        model = libraries.onnx.load(str(path))
    for node in model.graph.node:
        if node.domain == _NAME:
            node.domain = ""
    del model.opset_import[:]
    model.opset_import.append(libraries.onnx.helper.make_opsetid("", _FUSED if fuse else _TRACED))
    model.ir_version = _IR_VERSION
    return model


def save(libraries: Libraries, model: Any, path: Path) -> None:
    """Write ``model`` to ``path``; weights beyond a protobuf's size go to a file beside it."""
    large = sum(len(each.raw_data) for each in model.graph.initializer) > _MAX_INLINE
    # Saving would append to an existing file.
    path.with_name(f"{path.name}.data").unlink(missing_ok=True)
    options = {"save_as_external_data": True, "location": f"{path.name}.data"} if large else {}
    libraries.onnx.save(model, str(path), **options)
    if large:
        # Saving has moved the weights out of the model.
        libraries.onnx.load_external_data_for_model(model, str(path.parent))


def count_attention(model: Any) -> int:
    """The number of attentions in ``model`` that are one operator."""
    return sum(node.op_type == "Attention" for node in model.graph.node)


def constants(libraries: Libraries, model: Any) -> dict[str, NDArray[Any]]:
    """The values of ``Constant`` nodes, by name. They are small; weights are initializers."""
    return {
        node.output[0]: libraries.onnx.numpy_helper.to_array(attribute(node, "value", None))
        for node in model.graph.node
        if node.op_type == "Constant"
    }


def attribute(node: Any, name: str, default: Any) -> Any:
    """An attribute of a node: a number, a list of numbers or a tensor; ``default`` if missing."""
    for each in node.attribute:
        if each.name == name:
            kinds = {each.INT: each.i, each.INTS: list(each.ints), each.TENSOR: each.t}
            return kinds[each.type]
    return default


def shapes(libraries: Libraries, model: Any) -> dict[str, list[int | None]]:
    """The shapes of all values of known rank, by name; ``None`` is a size that varies by batch."""
    onnx, graph = libraries.onnx, model.graph
    make_info = onnx.helper.make_tensor_value_info
    # Weights become inputs, which have shapes alone: whole, they may be too large to pass on.
    weights = [make_info(each.name, each.data_type, each.dims) for each in graph.initializer]
    inputs = [*graph.input, *weights]
    light = onnx.helper.make_model(
        onnx.helper.make_graph(graph.node, graph.name, inputs, graph.output),
        opset_imports=model.opset_import,
    )
    inferred = onnx.shape_inference.infer_shapes(light, data_prop=True).graph
    return {
        each.name: [
            size.dim_value if size.HasField("dim_value") else None
            for size in each.type.tensor_type.shape.dim
        ]
        for each in (*inferred.input, *inferred.value_info)
        if each.type.tensor_type.HasField("shape")
    }


def drop_unused(graph: Any) -> None:
    """Remove nodes and weights that no output needs, in place."""
    needed = {output.name for output in graph.output}
    for at in reversed(range(len(graph.node))):
        node = graph.node[at]
        if needed.isdisjoint(node.output):
            del graph.node[at]
        else:
            needed.update(node.input)
    for at in reversed(range(len(graph.initializer))):
        if graph.initializer[at].name not in needed:
            del graph.initializer[at]


@contextmanager
def _scratch() -> Iterator[Path]:
    # The exporter writes large weights to many files beside the graph.
    with TemporaryDirectory() as folder:
        yield Path(folder, "traced.onnx")


def _logits_only(torch: Any, model: Any, names: Sequence[str]) -> Any:
    class LogitsOnly(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: Any) -> Any:
            return self.model(**dict(zip(names, inputs, strict=True))).logits

    return LogitsOnly().eval()


def _register_attention(torch: Any, transformers: Any) -> None:
    scaled = torch.nn.functional.scaled_dot_product_attention

    class Attention(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(_: Any, query: Any, key: Any, value: Any, mask: Any, scale: float) -> Any:
            return scaled(query, key, value, attn_mask=mask, scale=scale)

        @staticmethod
        def symbolic(graph: Any, query: Any, key: Any, value: Any, mask: Any, scale: float) -> Any:
            output = graph.op(f"{_NAME}::Attention", query, key, value, mask, scale_f=scale)
            return output.setType(query.type())

    def attention(
        _: Any, query: Any, key: Any, value: Any, mask: Any, scaling: float | None = None, **__: Any
    ) -> tuple[Any, None]:
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        # Without a mask nothing is fused, which is counted, and padding isn't ignored, which the
        # measurement shows.
        if mask is None:
            output = scaled(query, key, value, scale=scale)
        else:
            output = Attention.apply(query, key, value, mask, scale)
        return output.transpose(1, 2).contiguous(), None

    masking = import_module("transformers.masking_utils")
    transformers.AttentionInterface.register(_NAME, attention)
    transformers.AttentionMaskInterface.register(_NAME, masking.eager_mask)
