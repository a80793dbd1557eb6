"""Where models come from: the only code that touches disk or network for weights."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import file_digest
from pathlib import Path
from typing import Any

from resift.errors import ModelNotFoundError, UnsupportedModelError
from resift.models.card import USUAL_ARTIFACTS, USUAL_CHECKPOINTS, Artifact, Card, Golden
from resift.models.hub import download

BUNDLED = Path(__file__).parent.parent / "bundled"

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on disk: a folder with ``config.json``, ``tokenizer.json`` and its weights."""

    name: str
    revision: str | None
    folder: Path
    config: Mapping[str, Any]
    card: Card | None

    @property
    def tokenizer(self) -> Path:
        """The path of ``tokenizer.json``."""
        return _required(self.folder / "tokenizer.json", self.name)

    @property
    def pad_token_id(self) -> int:
        """From ``config.json``; 0 where it says nothing."""
        return int(self.config.get("pad_token_id") or 0)

    @property
    def model_max_length(self) -> int | None:
        """From ``tokenizer_config.json``, where there is one and it isn't a placeholder."""
        path = self.folder / "tokenizer_config.json"
        length = _read_json(path).get("model_max_length") if path.is_file() else None
        # transformers writes 1e30 for "no limit known".
        return int(length) if isinstance(length, (int, float)) and length < 1e9 else None

    def golden(self, artifact: Artifact) -> Golden | None:
        """The golden pairs of these weights, where the model has them.

        Those of its other weights are taken within the card's tolerance. Raises
        ``UnsupportedModelError`` where ``golden.json`` is damaged.
        """
        path = self.folder / "golden.json"
        if self.card is None or not path.is_file():
            return None
        golden = Golden.parse(_read_json(path), path)
        if golden.model_sha256 == artifact.sha256:
            return golden
        if golden.model_sha256 in {each.sha256 for each in self.card.artifacts}:
            return replace(golden, tolerance=max(golden.tolerance, self.card.tolerance))
        raise UnsupportedModelError(
            f"{path} is for weights with the sha256 {golden.model_sha256}, which are not the "
            "card's; install the model again"
        )

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """The weights, the preferred ones first: the card's, or what is in the folder."""
        if self.card:
            return self.card.artifacts
        usual = (*USUAL_ARTIFACTS, *USUAL_CHECKPOINTS)
        return tuple(each for each in usual if (self.folder / each.file).is_file())

    def path(self, artifact: Artifact) -> Path:
        """The file of the weights. Raises ``UnsupportedModelError`` where it isn't the card's."""
        path = _required(self.folder / artifact.file, self.name)
        _check_digest(path, artifact.sha256)
        if artifact.data_file is not None:
            data = _required(self.folder / artifact.data_file, self.name)
            _check_digest(data, artifact.data_sha256)
        return path


def find_model(
    model: str | os.PathLike[str],
    *,
    revision: str | None,
    cache_dir: str | os.PathLike[str] | None,
    offline: bool | None,
) -> ModelFiles:
    """A bundled name, a folder, or a repository on the hub, in this order.

    ``revision`` and ``cache_dir`` are for the hub alone. Raises ``ModelNotFoundError``, or
    ``OfflineError`` where it would have to be downloaded and mustn't.
    """
    name = os.fspath(model)
    if isinstance(model, str) and "/" not in name and (BUNDLED / name / "card.json").is_file():
        return _read(name, BUNDLED / name, None)
    if Path(name).is_dir():
        return _read(name, Path(name), None)
    if isinstance(model, str) and _HUB_NAME.fullmatch(name):
        folder, commit = download(name, revision=revision, cache_dir=cache_dir, offline=offline)
        return _read(name, folder, commit)
    bundled = sorted(path.parent.name for path in BUNDLED.glob("*/card.json"))
    raise ModelNotFoundError(
        f"no model {name!r}: expected a bundled name {bundled}, an existing folder with "
        "config.json, tokenizer.json and model.onnx, or a hub repository as 'owner/name'"
    )


def _read(name: str, folder: Path, revision: str | None) -> ModelFiles:
    config = _read_json(_required(folder / "config.json", name))
    card = folder / "card.json"
    parsed = Card.parse(_read_json(card), card) if card.is_file() else None
    return ModelFiles(
        name=name,
        revision=revision or (parsed.revision if parsed else None),
        folder=folder,
        config=config,
        card=parsed,
    )


def _required(path: Path, model: str) -> Path:
    if not path.is_file():
        raise ModelNotFoundError(
            f"{model}: {path.name} is missing from {path.parent}; a model's folder needs "
            "config.json, tokenizer.json and model.onnx (or onnx/model.onnx)"
        )
    return path


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UnsupportedModelError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise UnsupportedModelError(f"{path} holds a {type(content).__name__}; expected an object")
    return content


def _check_digest(path: Path, sha256: str | None) -> None:
    if sha256 is None:
        return
    with path.open("rb") as file:
        found = file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise UnsupportedModelError(
            f"{path} is damaged: its sha256 is {found}, the card says {sha256}; "
            "install or download the model again"
        )
