"""``card.json``: facts that a model's author measured and promises, for machines to read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resift.errors import UnsupportedModelError
from resift.precision import DYNAMIC_INT8

SCHEMA = 1
"""The kind of card that this version writes, and the newest that it reads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """One file of weights."""

    format: str
    """The kind of file, such as ``"onnx"``: each backend reads one."""
    precision: str
    """The precision of the matrix products."""
    file: str
    """Path inside the model's folder."""
    sha256: str | None = None
    data_file: str | None = None
    """Path of the file that keeps an ONNX graph's weights; ``None`` if the graph has them."""
    data_sha256: str | None = None
    cpu: str | None = None
    """The processor feature that it was made for, as numpy names it; ``None``: for any."""
    tolerance: float | None = None
    """Largest difference from the golden logits of other weights; ``None``: the card's."""


DESCRIPTIONS = frozenset(
    {"config.json", "tokenizer.json", "tokenizer_config.json", "card.json", "golden.json"}
)
"""The files of a model that are read beside its weights."""

# Where models without a card keep their weights, in the order in which they are tried: as optimum
# and sentence-transformers name them, then as resift export and transformers.js do.
USUAL_ARTIFACTS = (
    Artifact(format="onnx", precision="fp32", file="onnx/model.onnx"),
    Artifact(format="onnx", precision="fp32", file="model.onnx"),
    Artifact(format="onnx", precision="fp16", file="onnx/model_fp16.onnx"),
    Artifact(format="onnx", precision="fp16", file="model_fp16.onnx"),
    *(
        Artifact(format="onnx", precision=DYNAMIC_INT8, file=f"onnx/{name}.onnx", cpu=cpu)
        for name, cpu in (
            ("model_qint8_arm64", "ASIMDDP"),
            ("model_qint8_avx512_vnni", "AVX512VNNI"),
            ("model_qint8_avx512", "AVX512F"),
            ("model_quint8_avx2", "AVX2"),
        )
    ),
    *(
        Artifact(format="onnx", precision=DYNAMIC_INT8, file=f"{folder}{name}.onnx")
        for folder in ("onnx/", "")
        for name in ("model_int8", "model_quantized")
    ),
    Artifact(format="safetensors", precision="fp32", file="model.safetensors"),
    Artifact(format="safetensors", precision="fp32", file="model.safetensors.index.json"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimator:
    """A much faster model, whose logits say which documents ``prune`` may leave out."""

    model: str
    """The name of a bundled model."""
    sha256: str
    """The sha256 of the artifact that the margin was fitted with, as is ``data_sha256``."""
    data_sha256: str | None
    margin: float
    """A difference of its logits: documents further below the ``top_n``-th best are pruned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """The part of a card that the engine acts on."""

    revision: str | None
    family: str | None
    max_length: int
    """Default length of a pair, in tokens, special tokens included."""
    window: int
    """The longest pair the model was built for."""
    tolerance: float
    """Largest difference of a logit between machines and backends."""
    artifacts: tuple[Artifact, ...]
    estimator: Estimator | None
    place_weight: float | None
    """What ``prior="auto"`` means: log-odds for ``log(1 + place)``, in units of the logits."""

    @property
    def has_digests(self) -> bool:
        """Whether it has the sha256 of all weights."""
        return all(
            each.sha256 and (each.data_sha256 or each.data_file is None) for each in self.artifacts
        )

    @classmethod
    def parse(cls, content: Mapping[str, Any], path: Path) -> Card:
        """Parse a card; one without a ``schema`` has the first.

        Raises ``UnsupportedModelError`` naming a missing or invalid field, or a newer schema.
        """
        try:
            _check_schema(content.get("schema", 1), path)
            return cls(
                revision=_optional(content, "revision", str),
                family=_optional(content, "family", str),
                max_length=_field(content, "max_length", int),
                window=_field(content, "window", int),
                tolerance=float(_field(content, "tolerance", (int, float))),
                artifacts=tuple(map(_artifact, _field(content, "artifacts", list))),
                estimator=_estimator(_optional(content, "estimator", dict)),
                place_weight=_place_weight(_optional(content, "prior", dict)),
            )
        except KeyError as error:
            raise UnsupportedModelError(
                f"{path} is not a model card: it lacks {error}; get the model again"
            ) from error
        except TypeError as error:
            raise UnsupportedModelError(
                f"{path} is not a model card: {error}; get the model again"
            ) from error


def _check_schema(schema: object, path: Path) -> None:
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise TypeError(f"'schema' must be an int from 1 on, not {schema!r}")
    if schema > SCHEMA:
        raise UnsupportedModelError(
            f"{path} has schema {schema}, and this version of resift reads schemas up to {SCHEMA}; "
            "update resift (pip install --upgrade resift), or take an older revision of the model"
        )


def _artifact(content: object) -> Artifact:
    if not isinstance(content, dict):
        raise TypeError(f"expected an object for each of 'artifacts', not {content!r}")
    return Artifact(
        format=_field(content, "format", str),
        precision=_field(content, "precision", str),
        file=_field(content, "file", str),
        sha256=_optional(content, "sha256", str),
        data_file=_optional(content, "data_file", str),
        data_sha256=_optional(content, "data_sha256", str),
        cpu=_optional(content, "cpu", str),
        tolerance=_optional(content, "tolerance", float),
    )


def _estimator(content: Mapping[str, Any] | None) -> Estimator | None:
    if content is None:
        return None
    return Estimator(
        model=_field(content, "model", str),
        sha256=_field(content, "sha256", str),
        data_sha256=_optional(content, "data_sha256", str),
        margin=float(_field(content, "margin", (int, float))),
    )


def _place_weight(content: Mapping[str, Any] | None) -> float | None:
    if content is None:
        return None
    weight = float(_field(content, "place_weight", (int, float)))
    if not (math.isfinite(weight) and weight >= 0):
        raise TypeError(f"'place_weight' must be a finite number of at least 0, not {weight!r}")
    return weight


def _field(content: Mapping[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:
    """Read a field. Raises ``KeyError`` if it is missing, ``TypeError`` for another type."""
    value = content[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        expected = " or ".join(each.__name__ for each in kinds)
        raise TypeError(f"{name!r} must be {expected}, not {value!r}")
    return value


def _optional(content: Mapping[str, Any], name: str, kind: type) -> Any:
    return None if content.get(name) is None else _field(content, name, kind)


@dataclass(frozen=True, kw_only=True, slots=True)
class GoldenPair:
    """One pair and the logit that the model's author measured for it."""

    query: str
    document: str
    logit: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Golden:
    """``golden.json``: logits that the weights with this sha256 must give on every machine."""

    model_sha256: str
    tolerance: float
    pairs: tuple[GoldenPair, ...]

    @classmethod
    def parse(cls, content: Mapping[str, Any], path: Path) -> Golden:
        """Parse golden pairs. Raises ``UnsupportedModelError`` for invalid content."""
        try:
            return cls(
                model_sha256=str(content["model_sha256"]),
                tolerance=float(content["tolerance"]),
                pairs=tuple(
                    GoldenPair(
                        query=str(pair["query"]),
                        document=str(pair["document"]),
                        logit=float(pair["logit"]),
                    )
                    for pair in content["pairs"]
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UnsupportedModelError(
                f"{path} is not a file of golden pairs: {error!r}; install the model again"
            ) from error
