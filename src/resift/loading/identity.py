"""The identity of a loaded model: what makes its logits, as one digest."""

from __future__ import annotations

import json
import logging
import sys
from hashlib import sha256 as new_sha256
from typing import Any

from resift import machine
from resift.backends.table import backend_entry
from resift.errors import ModelError
from resift.loading.model import LoadedModel
from resift.models.artifacts import companions
from resift.models.card import Artifact
from resift.models.folder import ModelFiles
from resift.models.onnx_file import read_graph
from resift.models.store.manifest import sha256
from resift.models.store.paths import list_files

_logger = logging.getLogger(__name__)


def digest_of(model: LoadedModel) -> str | None:
    """A sha256 over all of a model that its logits depend on, as 64 hexadecimal digits.

    Those are the contents of its files, its family and prompt, the lengths that it cuts to, what
    runs it and in which precision, and the processor, whose instructions round differently. Files
    whose digest the card names were compared with it when they were read; others are read now.
    ``None`` where that fails.
    """
    try:
        return new_sha256(json.dumps(_parts(model), sort_keys=True).encode()).hexdigest()
    except (OSError, ModelError) as error:
        _logger.warning("%s can't be told from other models: %s", model.files.name, error)
        return None


def identity_of(model: LoadedModel) -> str | None:
    """A sha256 that tells a model from others, whatever runs it, as 64 hexadecimal digits.

    It is over the contents of its configuration, tokenizer and weights, its family and prompt. The
    weights are all that its card names; without a card that has their digests, those that run.
    ``None`` where that fails.
    """
    files, way, reader = model.files, model.way, model.reader
    family = type(reader.family)
    try:
        parts = {
            "weights": _all_weights(files) or sorted(_weights(files, way.artifact)),
            "tokenizer": sha256(files.tokenizer),
            "config": files.config,
            "family": [family.__qualname__, reader.family.prompt],
        }
        return new_sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    except (OSError, ModelError) as error:
        _logger.warning("%s can't be told from other models: %s", files.name, error)
        return None


def _all_weights(files: ModelFiles) -> list[list[str]]:
    """The digests of all weights on a card, those that aren't here too; empty where one lacks."""
    artifacts = files.card.artifacts if files.card else ()
    digests = [
        [each.sha256 or "", (each.data_sha256 or "") if each.data_file else "none"]
        for each in artifacts
    ]
    return sorted(digests) if all(map(all, digests)) else []


def _parts(model: LoadedModel) -> dict[str, Any]:
    from resift import __version__

    files, way, reader = model.files, model.way, model.reader
    # What comes out as NaN is computed again in float32.
    used = {way.artifact, *(each for each in files.artifacts if each.precision == "fp32")}
    family = type(reader.family)
    return {
        "resift": __version__,
        "weights": sorted(_weights(files, each) for each in used),
        "tokenizer": sha256(files.tokenizer),
        "config": files.config,
        "family": [family.__module__, family.__qualname__, reader.family.prompt],
        "lengths": [reader.window, reader.max_length],
        "runs": [way.artifact.file, way.backend, way.precision, model.backend.device],
        "versions": [_version(each) for each in backend_entry(way.backend).requires],
        "processor": sorted(machine.processor().features),
    }


def _weights(files: ModelFiles, artifact: Artifact) -> list[list[str]]:
    """The names and the digests of an artifact's files."""
    known = {artifact.file: artifact.sha256, artifact.data_file: artifact.data_sha256}
    names = weight_files(files, artifact)
    return [[name, known.get(name) or sha256(files.folder / name)] for name in names]


def weight_files(files: ModelFiles, artifact: Artifact) -> list[str]:
    """The files that an artifact consists of, sorted, as paths inside the model's folder."""
    path = files.folder / artifact.file
    names = {artifact.file, *companions(artifact, list_files(files.folder))}
    if artifact.format == "onnx":
        beside = path.parent.relative_to(files.folder)
        names |= {(beside / each).as_posix() for each in read_graph(path).data_files}
    return sorted(names)


def _version(module: str) -> str:
    # They are imported, as the model runs.
    return f"{module} {getattr(sys.modules.get(module), '__version__', 'unknown')}"
