"""``config.pbtxt`` of the two models, as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from resift.errors import UnsupportedModelError

TEXTS, GRAPH = "resift", "resift_onnx"
"""The names of the two models."""
MAX_DOCUMENTS = 1000
"""Texts of one request, as the server of resift itself has it."""

_TYPES = {
    "tensor(float)": "TYPE_FP32",
    "tensor(float16)": "TYPE_FP16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
}
_QUEUE = """\
  # A full queue answers 503, and so does it to what waited too long. With it, Triton needs two
  # instances, and no delay: its batcher may else sleep for half a second beside work.
  default_queue_policy {
    max_queue_size: 64
    default_timeout_microseconds: 5000000
    allow_timeout_override: true
    timeout_action: REJECT
  }
"""


class Tensor(NamedTuple):
    """An input or an output of a graph, as ONNX Runtime describes it."""

    name: str
    type: str
    shape: list[Any]
    """An ``int`` for each dimension that is fixed."""


def texts_config(parameters: Mapping[str, str], *, gpu: bool) -> str:
    """The configuration of the model that takes texts."""
    return f"""\
name: "{TEXTS}"
backend: "python"
# Requests that are computed together at most; a request's texts count as one.
max_batch_size: 8
input [
  {{ name: "query" data_type: TYPE_STRING dims: [ 1 ] }},
  # Ragged: requests with different numbers of texts go together.
  {{ name: "texts" data_type: TYPE_STRING dims: [ -1 ] allow_ragged_batch: true }}
]
output [
  # From 0 to 1; ask for the one that you need.
  {{ name: "scores" data_type: TYPE_FP32 dims: [ -1 ] }},
  {{ name: "logits" data_type: TYPE_FP32 dims: [ -1 ] }}
]
{_instances(2, gpu=gpu)}{_batching(_QUEUE)}{_parameters(parameters)}"""


def graph_config(
    inputs: Iterable[Tensor],
    outputs: Iterable[Tensor],
    *,
    together: bool,
    threads: int | None,
    gpu: bool,
) -> str:
    """The configuration of the bare graph.

    ``together``: whether rows of one batch leave each other's numbers alone. Raises
    ``UnsupportedModelError`` for a type that no reranker has.
    """
    parameters = {} if threads is None else {"intra_op_thread_count": str(threads)}
    batching = _batching() if together else ""
    return f"""\
name: "{GRAPH}"
backend: "onnxruntime"
max_batch_size: {64 if together else 1}
input [
{_tensors(inputs)}
]
output [
{_tensors(outputs)}
]
{_instances(1, gpu=gpu)}{batching}{_parameters(parameters)}"""


def _instances(count: int, *, gpu: bool) -> str:
    kind = "KIND_GPU" if gpu else "KIND_CPU"
    return f"instance_group [ {{ kind: {kind} count: {count} }} ]\n"


def _batching(policy: str = "") -> str:
    # While a batch is computed, the next one gathers: nothing waits for company where one is idle.
    return f"dynamic_batching {{\n  max_queue_delay_microseconds: 0\n{policy}}}\n"


def _parameters(given: Mapping[str, str]) -> str:
    return "".join(
        f'parameters {{ key: "{key}" value {{ string_value: {_quoted(value)} }} }}\n'
        for key, value in given.items()
    )


def _tensors(described: Iterable[Tensor]) -> str:
    return ",\n".join(map(_tensor, described))


def _tensor(described: Tensor) -> str:
    if described.type not in _TYPES:
        raise UnsupportedModelError(
            f"the graph's {described.name!r} is a {described.type}; expected one of {list(_TYPES)}"
        )
    # The first is the batch, which Triton adds.
    dims = [size if isinstance(size, int) else -1 for size in described.shape[1:]]
    text = f"name: {_quoted(described.name)} data_type: {_TYPES[described.type]}"
    if not dims:
        # Triton has no empty dims, so one more is taken off.
        return f"  {{ {text} dims: [ 1 ] reshape {{ shape: [ ] }} }}"
    return f"  {{ {text} dims: [ {', '.join(map(str, dims))} ] }}"


def _quoted(text: str) -> str:
    """A string of protobuf's text format: printable ASCII as it is, any other byte in octal."""
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}"
        for byte in text.encode("utf-8")
    )
    return f'"{plain}"'
