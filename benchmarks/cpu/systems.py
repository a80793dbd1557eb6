"""Which systems there are, and the shapes of the models that they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A BERT encoder with a classification head of one label."""

    layers: int
    hidden: int
    heads: int

    def operations(self, lengths: Sequence[int]) -> int:
        """Floating-point operations of the matrix products for pairs of so many tokens.

        Nothing is counted for padding: it is work that nobody asked for.
        """
        per_token = 2 * (4 * self.hidden**2 + 2 * self.hidden * 4 * self.hidden)
        attention = 4 * self.hidden * sum(length**2 for length in lengths)
        return self.layers * (per_token * sum(lengths) + attention)


SHAPES = {
    "TinyBERT-L2": Shape(layers=2, hidden=128, heads=2),
    "MiniLM-L6": Shape(layers=6, hidden=384, heads=12),
    "MiniLM-L12": Shape(layers=12, hidden=384, heads=12),
}


@dataclass(frozen=True, kw_only=True)
class System:
    """A library, as set up for one row of the tables."""

    name: str
    environment: str
    """Of ``requirements-ENVIRONMENT.txt``."""
    adapter: str
    """Its name in ``adapters.ADAPTERS``."""
    precision: str
    """What most matrix products run in, which is the ceiling they are held against."""
    statement: str
    """The import whose time is taken."""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Whether it is resift."""
        return self.name.startswith("resift-")


_FLASHRANK = "from flashrank import Ranker"
_SENTENCE_TRANSFORMERS = "from sentence_transformers import CrossEncoder"
_FASTEMBED = "from fastembed.rerank.cross_encoder import TextCrossEncoder"
_RERANKERS = "from rerankers import Reranker"


def _sentence_transformers(backend: str, precision: str, **options: str) -> System:
    return System(
        name=f"sentence-transformers-{backend}-{precision}",
        environment=f"sentence-transformers-{backend}",
        adapter="sentence-transformers",
        precision=precision,
        statement=_SENTENCE_TRANSFORMERS,
        options={"backend": backend, **options},
    )


PEERS = [
    System(
        name="flashrank-int8",
        environment="flashrank",
        adapter="flashrank",
        precision="int8",
        statement=_FLASHRANK,
    ),
    _sentence_transformers("torch", "fp32", dtype="float32"),
    _sentence_transformers("torch", "bf16", dtype="bfloat16"),
    _sentence_transformers("onnx", "fp32", file="onnx/model_O3.onnx"),
    _sentence_transformers("onnx", "int8", file="onnx/model_qint8_avx512_vnni.onnx"),
    _sentence_transformers("openvino", "fp32", file="openvino/openvino_model.xml", hint="f32"),
    _sentence_transformers("openvino", "bf16", file="openvino/openvino_model.xml", hint="bf16"),
    _sentence_transformers("openvino", "int8", file="openvino/openvino_model_qint8_quantized.xml"),
    System(
        name="fastembed-fp32",
        environment="fastembed",
        adapter="fastembed",
        precision="fp32",
        statement=_FASTEMBED,
        options={"file": "onnx/model.onnx"},
    ),
    System(
        name="fastembed-int8",
        environment="fastembed",
        adapter="fastembed",
        precision="int8",
        statement=_FASTEMBED,
        options={"file": "onnx/model_int8.onnx"},
    ),
    System(
        name="rerankers-transformers-fp32",
        environment="rerankers",
        adapter="rerankers-transformers",
        precision="fp32",
        statement=_RERANKERS,
    ),
    System(
        name="rerankers-flashrank-int8",
        environment="rerankers",
        adapter="rerankers-flashrank",
        precision="int8",
        statement=_RERANKERS,
    ),
]
REFERENCE = System(
    name="reference",
    environment="reference",
    adapter="reference",
    precision="fp32",
    statement="import transformers",
)
OURS = [
    "resift-onnx-fp32",
    "resift-onnx-int8",
    "resift-openvino-fp32",
    "resift-openvino-bf16",
]
DEFAULT = [*OURS, *(peer.name for peer in PEERS)]


def find_system(name: str) -> System:
    """A peer by name, or ``resift-BACKEND-PRECISION``; raises ``ValueError`` for another."""
    for peer in PEERS:
        if peer.name == name:
            return peer
    library, _, rest = name.partition("-")
    backend, _, precision = rest.partition("-")
    if library != "resift" or not precision:
        raise ValueError(
            f"no system {name!r}; expected resift-BACKEND-PRECISION or one of {DEFAULT}"
        )
    return System(
        name=name,
        environment="resift" if backend == "onnx" else f"resift-{backend}",
        adapter="resift",
        precision=precision,
        statement="from resift import Reranker",
        options={"backend": backend, "precision": precision},
    )
