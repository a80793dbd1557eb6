"""Which of a model's files of weights are for this machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from resift.models.card import DYNAMIC_INT8, USUAL_ARTIFACTS, Artifact
from resift.models.graphs import read_graph
from resift.models.paths import read_json

Wanted = Sequence[tuple[str, str | None]]
"""Formats of weights, each with the precision that they are to be stored in, or ``None`` for any:
the preferred one first."""


def choose(artifacts: Iterable[Artifact], wanted: Wanted) -> Artifact | None:
    """The first that this processor runs, of what is wanted most."""
    runnable = list(filter(runs_here, artifacts))
    for format, precision in wanted:  # noqa: A001
        for artifact in runnable:
            if artifact.format == format and precision in (None, artifact.precision):
                return artifact
    return None


def runs_here(artifact: Artifact) -> bool:
    """Whether this processor has what the artifact was made for."""
    return artifact.cpu is None or artifact.cpu in cpu_features()


def usual(is_present: Callable[[str], bool]) -> tuple[Artifact, ...]:
    """The artifacts of a model whose files' names say what they are, best first."""
    return tuple(artifact for artifact in USUAL_ARTIFACTS if is_present(artifact.file))


def lone_graph(folder: Path) -> tuple[Artifact, ...]:
    """The one ONNX graph of a folder that has no other, by whatever name."""
    graphs = sorted(folder.glob("*.onnx"))
    if len(graphs) != 1:
        return ()
    precision = DYNAMIC_INT8 if read_graph(graphs[0]).mixes_rows else "fp32"
    return (Artifact(format="onnx", precision=precision, file=graphs[0].name),)


def companions(artifact: Artifact, present: Iterable[str]) -> list[str]:
    """What belongs to an artifact's file: an ONNX graph's data, or the parts of weights."""
    if artifact.format == "onnx":
        # As optimum and as torch name it.
        part = re.compile(rf"{re.escape(artifact.file)}(_data.*|\.data)")
    else:
        start = artifact.file.removesuffix(".safetensors.index.json")
        part = re.compile(rf"{re.escape(start)}-\d+-of-\d+\.safetensors")
    return [name for name in present if part.fullmatch(name)]


def is_whole(path: Path) -> bool:
    """Whether a file of weights is there, and all files that it refers to."""
    if not path.is_file():
        return False
    if path.suffix == ".onnx":
        parts = read_graph(path).data_files
    elif path.name.endswith(".safetensors.index.json"):
        parts = set(read_json(path).get("weight_map", {}).values())
    else:
        parts = set()
    return all((path.parent / part).is_file() for part in parts)


def cpu_features() -> frozenset[str]:
    """What the processor can do, in numpy's names."""
    return frozenset(
        name
        for name, there in np._core._multiarray_umath.__cpu_features__.items()  # type: ignore[attr-defined]
        if there
    )
