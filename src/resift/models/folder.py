"""A model on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from resift.errors import ModelNotFoundError, UnsupportedModelError
from resift.models.artifacts import companions, lone_graph, usual
from resift.models.card import DESCRIPTIONS, Artifact, Card, Golden
from resift.models.catalogue import Listing, find_listing
from resift.models.onnx_file import read_graph
from resift.models.store.manifest import Manifest, sha256
from resift.models.store.paths import check_inside, list_files, read_json


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on disk: a folder with ``config.json``, ``tokenizer.json`` and its weights."""

    name: str
    revision: str | None
    folder: Path
    config: Mapping[str, Any]
    card: Card | None
    listing: Listing | None = None
    """The catalogue's entry."""

    @property
    def family(self) -> str | None:
        """The family that the model's card or the catalogue names."""
        if self.card:
            return self.card.family
        return self.listing.family if self.listing else None

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """The weights that the folder has, best first, for any processor."""

        def is_there(name: str) -> bool:
            return (self.folder / name).is_file()

        if self.card:
            return tuple(each for each in self.card.artifacts if is_there(each.file))
        return usual(is_there) or lone_graph(self.folder)

    @property
    def files(self) -> list[str]:
        """All files that the engine may read, as paths inside the folder."""
        present = list_files(self.folder)
        weights = [
            name
            for artifact in self.artifacts
            for name in (artifact.file, *companions(artifact, present), *self._data(artifact))
        ]
        return sorted(DESCRIPTIONS.union(weights).intersection(present))

    def _data(self, artifact: Artifact) -> list[str]:
        """The files that a graph refers to, whatever their names."""
        if artifact.format != "onnx":
            return []
        beside = Path(artifact.file).parent
        names = read_graph(self.folder / artifact.file).data_files
        return [Path(os.path.normpath(beside / name)).as_posix() for name in names]

    @property
    def tokenizer(self) -> Path:
        """The path of ``tokenizer.json``."""
        return _required(self.folder, "tokenizer.json", self.name)

    @property
    def pad_token_id(self) -> int:
        """The padding token of ``config.json``; 0 where it has none."""
        return int(self.config.get("pad_token_id") or 0)

    @property
    def model_max_length(self) -> int | None:
        """The length in ``tokenizer_config.json``; ``None`` if missing or a placeholder."""
        length = (_read_optional(self.folder, "tokenizer_config.json") or {}).get(
            "model_max_length"
        )
        # transformers writes 1e30 for "no limit known".
        return int(length) if isinstance(length, (int, float)) and length < 1e9 else None

    @property
    def listed_max_length(self) -> int | None:
        """The catalogue's default length of a pair, in tokens."""
        return self.listing.max_length if self.listing else None

    def mixes_rows(self, artifact: Artifact) -> bool:
        """Whether a pair's logit depends on the pairs beside it in a batch."""
        path = self.folder / artifact.file
        return artifact.format == "onnx" and read_graph(path).mixes_rows

    def golden(self, artifact: Artifact) -> Golden | None:
        """The golden pairs for these weights; ``None`` where the model has none.

        Golden pairs of the model's other weights get the artifact's or the card's tolerance. Raises
        ``UnsupportedModelError`` where ``golden.json`` is damaged.
        """
        content = _read_optional(self.folder, "golden.json")
        if self.card is None or content is None:
            return None
        path = self.folder / "golden.json"
        golden = Golden.parse(content, path)
        if golden.model_sha256 == artifact.sha256:
            return golden
        if golden.model_sha256 in {each.sha256 for each in self.card.artifacts}:
            tolerance = self.card.tolerance if artifact.tolerance is None else artifact.tolerance
            return replace(golden, tolerance=max(golden.tolerance, tolerance))
        raise UnsupportedModelError(
            f"{path} is for weights with the sha256 {golden.model_sha256}, which are not the "
            "card's; install the model again"
        )

    def path(self, artifact: Artifact) -> Path:
        """The file of the weights, checked.

        Raises ``ModelNotFoundError`` where it is missing, ``UnsupportedModelError`` where it, or a
        file that it refers to, differs from the card's or is outside the folder.
        """
        path = _required(self.folder, artifact.file, self.name)
        _check_digest(path, artifact.sha256)
        if path.suffix == ".onnx":
            for name in read_graph(path).data_files:
                # The name is relative to the graph, or an absolute path.
                relative = os.path.relpath(path.parent / name, self.folder)
                data = _required(self.folder, relative, self.name)
                _check_digest(
                    data, artifact.data_sha256 if relative == artifact.data_file else None
                )
        return path


def read_files(
    name: str, folder: Path, revision: str | None = None, listing: Listing | None = None
) -> ModelFiles:
    """Read the model in a folder, whose files aren't compared with any record.

    Raises ``ModelNotFoundError`` where ``config.json`` is missing, ``UnsupportedModelError`` where
    it or the card is damaged.
    """
    config = read_json(_required(folder, "config.json", name))
    content = _read_optional(folder, "card.json")
    card = Card.parse(content, folder / "card.json") if content is not None else None
    return ModelFiles(
        name=name,
        revision=revision or (card.revision if card else None),
        folder=folder,
        config=config,
        card=card,
        listing=listing,
    )


def read_recorded(folder: Path, manifest: Manifest) -> ModelFiles:
    """Read the model in a folder that came with a manifest."""
    return read_files(manifest.name, folder, manifest.revision, find_listing(manifest.name))


def _required(folder: Path, name: str, model: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise ModelNotFoundError(
            f"{model}: {path.name} is missing from {path.parent}; a model's folder needs "
            "config.json, tokenizer.json and model.onnx (or onnx/model.onnx)"
        )
    return check_inside(path, folder)


def _read_optional(folder: Path, name: str) -> dict[str, Any] | None:
    path = folder / name
    return read_json(check_inside(path, folder)) if path.is_file() else None


def _check_digest(path: Path, expected: str | None) -> None:
    if expected is None:
        return
    found = sha256(path)
    if found != expected:
        raise UnsupportedModelError(
            f"{path} is damaged: its sha256 is {found}, the card says {expected}; "
            "install or download the model again"
        )
