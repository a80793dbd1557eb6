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
    made_by: str
    """The one of ``STEPS`` that makes its model."""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Whether it is resift."""
        return self.name.startswith("resift-")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of ``prepare.py``."""

    environment: str
    after: str | None = "reference"
    """The step whose files it reads."""
    kept: bool = True
    """Whether the next run uses what it made; what resift exports is new each time."""


# Has torch and transformers, so that "resift export" runs in it too.
EXPORT = "reference"
STEPS = {
    "reference": Step(environment="reference", after=None),
    "onnx": Step(environment="reference"),
    "onnx-int8": Step(environment="reference", after="onnx"),
    "sentence-transformers-onnx": Step(environment="sentence-transformers-onnx", after="onnx"),
    "sentence-transformers-onnx-int8": Step(environment="sentence-transformers-onnx", after="onnx"),
    "sentence-transformers-openvino": Step(
        environment="sentence-transformers-openvino", after="onnx"
    ),
    "sentence-transformers-openvino-int8": Step(
        environment="sentence-transformers-openvino", after="sentence-transformers-openvino"
    ),
    "resift-fp32": Step(environment=EXPORT, kept=False),
    "resift-int8": Step(environment=EXPORT, kept=False),
}

_FLASHRANK = "from flashrank import Ranker"
_SENTENCE_TRANSFORMERS = "from sentence_transformers import CrossEncoder"
_FASTEMBED = "from fastembed.rerank.cross_encoder import TextCrossEncoder"
_RERANKERS = "from rerankers import Reranker"


def _sentence_transformers(backend: str, precision: str, **options: str) -> System:
    made_by = f"sentence-transformers-{backend}" + ("-int8" if precision == "int8" else "")
    return System(
        name=f"sentence-transformers-{backend}-{precision}",
        made_by="reference" if backend == "torch" else made_by,
        environment=f"sentence-transformers-{backend}",
        adapter="sentence-transformers",
        precision=precision,
        statement=_SENTENCE_TRANSFORMERS,
        options={"backend": backend, **options},
    )


PEERS = [
    System(
        name="flashrank-int8",
        made_by="onnx-int8",
        environment="flashrank",
        adapter="flashrank",
        precision="int8",
        statement=_FLASHRANK,
    ),
    _sentence_transformers("torch", "fp32", dtype="float32"),
    _sentence_transformers("torch", "bf16", dtype="bfloat16"),
    _sentence_transformers("onnx", "fp32", file="onnx/model_O3.onnx"),
    _sentence_transformers("onnx", "int8", file="onnx/model_dynamic_int8.onnx"),
    _sentence_transformers("openvino", "fp32", file="openvino/openvino_model.xml", hint="f32"),
    _sentence_transformers("openvino", "bf16", file="openvino/openvino_model.xml", hint="bf16"),
    _sentence_transformers("openvino", "int8", file="openvino/openvino_model_qint8_quantized.xml"),
    System(
        name="fastembed-fp32",
        made_by="onnx",
        environment="fastembed",
        adapter="fastembed",
        precision="fp32",
        statement=_FASTEMBED,
        options={"file": "onnx/model.onnx"},
    ),
    System(
        name="fastembed-int8",
        made_by="onnx-int8",
        environment="fastembed",
        adapter="fastembed",
        precision="int8",
        statement=_FASTEMBED,
        options={"file": "onnx/model_int8.onnx"},
    ),
    System(
        name="rerankers-transformers-fp32",
        made_by="reference",
        environment="rerankers",
        adapter="rerankers-transformers",
        precision="fp32",
        statement=_RERANKERS,
    ),
    System(
        name="rerankers-flashrank-int8",
        made_by="onnx-int8",
        environment="rerankers",
        adapter="rerankers-flashrank",
        precision="int8",
        statement=_RERANKERS,
    ),
]
# Not in benchmarks/cpu.py's default: its environment is one more of a gigabyte.
FLAG_EMBEDDING = System(
    name="flag-embedding-fp32",
    made_by="reference",
    environment="flag-embedding",
    adapter="flag-embedding",
    precision="fp32",
    statement="from FlagEmbedding import FlagReranker",
)
REFERENCE = System(
    name="reference",
    made_by="reference",
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
    for peer in (*PEERS, FLAG_EMBEDDING):
        if peer.name == name:
            return peer
    library, _, rest = name.partition("-")
    backend, _, precision = rest.partition("-")
    if library != "resift" or not precision:
        raise ValueError(
            f"no system {name!r}; expected resift-BACKEND-PRECISION or one of {DEFAULT}"
        )
    made_by = "resift-int8" if precision == "int8" else "resift-fp32"
    return System(
        name=name,
        made_by=made_by,
        environment="resift" if backend == "onnx" else f"resift-{backend}",
        adapter="resift",
        precision=precision,
        statement="from resift import Reranker",
        options={"backend": backend, "precision": precision, "folder": made_by},
    )
