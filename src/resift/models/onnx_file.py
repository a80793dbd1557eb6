"""Facts about an ONNX file, read without loading it.

ONNX Runtime refuses data outside the model's folder only in its newer releases, and the package
``onnx`` isn't needed to run a model; so the few fields that matter are read off the protocol
buffer here. Field numbers: onnx/onnx.proto.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from resift.errors import UnsupportedModelError

_DEEPEST = 50

# For each message: the fields that are messages to look into.
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}


@dataclass(slots=True)
class Graph:
    """The facts that the engine acts on."""

    data_files: set[str] = field(default_factory=set)
    """Files with weights outside the graph's file, relative to its folder."""
    mixes_rows: bool = False
    """Whether a row's numbers depend on the rest of the batch, as all rows share one scale."""


def read_graph(path: Path) -> Graph:
    """Read an ONNX graph. Raises ``UnsupportedModelError`` for any other file."""
    found = Graph()
    try:
        with path.open("rb") as file:
            # Left to the garbage collector: closing it while an exception's traceback still holds
            # a part of it would raise another error.
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        _read("model", memoryview(content), found, 0)
    except (ValueError, IndexError) as error:
        raise UnsupportedModelError(
            f"{path} is not an ONNX graph, or damaged: {error}; download or export it again"
        ) from error
    return found


def _read(kind: str, message: memoryview, found: Graph, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError(f"nested more than {_DEEPEST} deep")
    children = _CHILDREN.get(kind, {})
    strings: dict[int, memoryview] = {}
    for number, value in _fields(message):
        if number in children:
            _read(children[number], value, found, depth + 1)
        elif (kind, number) in {("node", 4), ("entry", 1), ("entry", 2)}:
            strings[number] = value
    if kind == "node" and bytes(strings.get(4, b"")).startswith(b"DynamicQuantize"):
        found.mixes_rows = True
    if kind == "entry" and bytes(strings.get(1, b"")) == b"location":
        found.data_files.add(bytes(strings.get(2, b"")).decode())


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The length-delimited fields of a message: numbers and contents."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == 0:
            _, position = _varint(message, position)
        elif kind == 1:
            position += 8
        elif kind == 5:
            position += 4
        elif kind == 2:
            size, position = _varint(message, position)
            yield tag >> 3, message[position : position + size]
            position += size
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
    if position > len(message):
        raise ValueError("it ends in the middle of a field")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
