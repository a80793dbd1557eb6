"""A model's files of weights, and the files that belong to each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from resift.errors import BackendUnavailableError, ModelNotFoundError
from resift.models.card import USUAL_ARTIFACTS, Artifact, Card
from resift.models.onnx_file import read_graph
from resift.models.store.paths import read_json
from resift.precision import DYNAMIC_INT8


class Choice(NamedTuple):
    """The artifacts of a model to fetch."""

    artifacts: Sequence[Artifact]
    """The preferred one, then those it needs beside it; empty where none can be run."""
    refused: Sequence[str]
    """The reasons why this processor can't run others."""


class Wanted(Protocol):
    """The weights that a user wants of a model; ``resift.loading.plan`` implements it."""

    @property
    def formats(self) -> Sequence[str]:
        """The kinds of files that can be read, the preferred one first."""

    @property
    def precision(self) -> str | None:
        """The precision asked for, if one was."""

    def choose(self, artifacts: Sequence[Artifact], config: Mapping[str, Any]) -> Choice:
        """Choose from the available ``artifacts`` those to fetch.

        ``config`` is the model's ``config.json``, or empty where it is still unknown.
        """


def usual(is_present: Callable[[str], bool]) -> tuple[Artifact, ...]:
    """The artifacts with usual file names that ``is_present`` finds, best first."""
    return tuple(artifact for artifact in USUAL_ARTIFACTS if is_present(artifact.file))


def lone_graph(folder: Path) -> tuple[Artifact, ...]:
    """The only ONNX graph of a folder, whatever its name; empty where there are none or several."""
    graphs = sorted(folder.glob("*.onnx"))
    if len(graphs) != 1:
        return ()
    precision = DYNAMIC_INT8 if read_graph(graphs[0]).mixes_rows else "fp32"
    return (Artifact(format="onnx", precision=precision, file=graphs[0].name),)


def companions(artifact: Artifact, present: Iterable[str]) -> list[str]:
    """The files in ``present`` that belong to an artifact: a graph's data, or parts of weights."""
    if artifact.format == "onnx":
        # The names that optimum and torch give it.
        part = re.compile(rf"{re.escape(artifact.file)}(_data.*|\.data)")
    else:
        start = artifact.file.removesuffix(".safetensors.index.json")
        part = re.compile(rf"{re.escape(start)}-\d+-of-\d+\.safetensors")
    return [name for name in present if part.fullmatch(name) or name == artifact.data_file]


def is_whole(path: Path) -> bool:
    """Whether a file of weights exists, with all files that it refers to."""
    if not path.is_file():
        return False
    if path.suffix == ".onnx":
        parts = read_graph(path).data_files
    elif path.name.endswith(".safetensors.index.json"):
        parts = set(read_json(path).get("weight_map", {}).values())
    else:
        parts = set()
    return all((path.parent / part).is_file() for part in parts)


def choose_files(
    repository: str,
    card: Card | None,
    config: Mapping[str, Any],
    present: Iterable[str],
    wanted: Wanted,
) -> list[str]:
    """The files of the wanted weights, by name, of those ``present`` in a repository.

    ``card`` is ``None`` and ``config`` empty where they are still unknown. Raises
    ``BackendUnavailableError`` where there are only other weights in these formats, or in any that
    the card names, and ``ModelNotFoundError`` where there are none.
    """
    names = sorted(present)

    def is_offered(artifact: Artifact) -> bool:
        # Dynamic int8 is only used when requested.
        return bool(card) or wanted.precision == DYNAMIC_INT8 or artifact.precision != DYNAMIC_INT8

    listed = card.artifacts if card else USUAL_ARTIFACTS
    artifacts = [each for each in listed if each.file in names]
    chosen, refused = wanted.choose(list(filter(is_offered, artifacts)), config)
    if not chosen:
        expected = [
            each.file
            for each in filter(is_offered, USUAL_ARTIFACTS)
            if wanted.choose([each], config).artifacts
        ]
        message = (
            f"{repository} has no {' or '.join(wanted.formats)} weights in precision "
            f"{wanted.precision or 'fp32 or fp16'} for this processor: expected one of {expected}; "
            f"it has {[each.file for each in artifacts] or 'none that are known'}. "
            f"{''.join(f'{reason}. ' for reason in refused)}Give another precision= or backend=, "
            "or export the model to a folder with resift export"
        )
        # A card names formats that backends of other packages may read.
        others = [each for each in artifacts if card or each.format in wanted.formats]
        raise BackendUnavailableError(message) if others else ModelNotFoundError(message)
    first, *wider = chosen
    # Batches that come out as NaN are computed again in float32.
    files = [first, *(wider if card or first.precision == "fp16" else [])]
    return [name for each in files for name in (each.file, *companions(each, names))]
