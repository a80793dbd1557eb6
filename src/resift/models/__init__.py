"""Where models come from: the only code that touches disk or network for weights."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resift.errors import BackendUnavailableError, ModelNotFoundError, UnsupportedModelError
from resift.models import archives, hub
from resift.models.artifacts import choose, companions, lone_graph, usual
from resift.models.cache import Cache
from resift.models.card import DESCRIPTIONS, Artifact, Card, Golden
from resift.models.catalogue import Listing, find_listing
from resift.models.graphs import read_graph
from resift.models.manifest import BUNDLE_MANIFEST, Manifest, sha256
from resift.models.paths import check_inside, list_files, read_json

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
    listing: Listing | None = None
    """What the catalogue says."""

    @property
    def family(self) -> str | None:
        """The family that the model's card or the catalogue names."""
        if self.card:
            return self.card.family
        return self.listing.family if self.listing else None

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Its weights, best first."""
        if self.card:
            return self.card.artifacts
        return usual(lambda name: (self.folder / name).is_file()) or lone_graph(self.folder)

    @property
    def files(self) -> list[str]:
        """All that the engine may read, by path inside the folder."""
        present = list_files(self.folder)
        weights = [
            name
            for artifact in self.artifacts
            for name in (artifact.file, *companions(artifact, present))
        ]
        return sorted(DESCRIPTIONS.union(weights).intersection(present))

    @property
    def tokenizer(self) -> Path:
        """The path of ``tokenizer.json``."""
        return _required(self.folder, "tokenizer.json", self.name)

    @property
    def pad_token_id(self) -> int:
        """From ``config.json``; 0 where it says nothing."""
        return int(self.config.get("pad_token_id") or 0)

    @property
    def model_max_length(self) -> int | None:
        """From ``tokenizer_config.json``, where there is one and it isn't a placeholder."""
        length = (_read_optional(self.folder, "tokenizer_config.json") or {}).get(
            "model_max_length"
        )
        # transformers writes 1e30 for "no limit known".
        return int(length) if isinstance(length, (int, float)) and length < 1e9 else None

    @property
    def listed_max_length(self) -> int | None:
        """The default length of a pair that the catalogue gives, in tokens."""
        return self.listing.max_length if self.listing else None

    def mixes_rows(self, artifact: Artifact) -> bool:
        """Whether a pair's logit depends on the pairs beside it in a batch."""
        path = self.folder / artifact.file
        return artifact.format == "onnx" and read_graph(path).mixes_rows

    def golden(self, artifact: Artifact) -> Golden | None:
        """The golden pairs of these weights, where the model has them.

        Raises ``UnsupportedModelError`` where ``golden.json`` is damaged.
        """
        content = _read_optional(self.folder, "golden.json")
        if artifact.sha256 is None or content is None:
            return None
        golden = Golden.parse(content, self.folder / "golden.json")
        return golden if golden.model_sha256 == artifact.sha256 else None

    def artifact(self, format: str, precision: str | None) -> tuple[Path, Artifact]:  # noqa: A002
        """The weights in a format: of the precision asked for, else the first.

        Raises ``BackendUnavailableError`` where the model has none, ``UnsupportedModelError``
        where the file's sha256 isn't the card's.
        """
        artifact = choose(self.artifacts, format, precision)
        if artifact is None:
            usable = [each.precision for each in self.artifacts if each.format == format]
            raise BackendUnavailableError(
                f"{self.name} has no {format} weights in precision {precision or 'any'} for this "
                f"processor; {self.folder} has {usable or 'none'}. Leave precision out to take the "
                "first, or export the model: expected model.onnx or onnx/model.onnx"
            )
        path = _required(self.folder, artifact.file, self.name)
        if artifact.format == "onnx":
            for name in read_graph(path).data_files:
                # Relative to the graph, and maybe an absolute path.
                _required(self.folder, os.path.relpath(path.parent / name, self.folder), self.name)
        _check_digest(path, artifact.sha256)
        return path, artifact


def find_model(
    model: str | os.PathLike[str],
    *,
    revision: str | None,
    cache_dir: str | os.PathLike[str] | None,
    offline: bool | None,
    format: str,  # noqa: A002
    precision: str | None,
    trust_remote_code: bool,
    check_family: Callable[[Mapping[str, Any], str | None, str], object],
) -> ModelFiles:
    """A bundled name, a folder, a zip archive, an address, or a name on the hub, in this order.

    A name on the hub is a repository's, or one of the catalogue, some of which are FlashRank's
    archives. ``format`` and ``precision`` say which weights to fetch. ``check_family`` gets a
    model's ``config.json``, the family that its card or the catalogue names, and the model's name;
    what it raises is raised before anything, or before any weights, are fetched.

    Raises ``ModelNotFoundError``, or ``OfflineError`` where it would have to be downloaded and
    mustn't; ``UnsupportedModelError`` for files that aren't what was recorded, or not safe.
    """

    def check(config: Mapping[str, Any], family: str | None) -> None:
        _check_code(name, format, bool(config.get("auto_map")), trust_remote_code)
        check_family(config, family, name)

    name = os.fspath(model)
    path = Path(name)
    is_offline = hub.is_offline(offline)
    listing = find_listing(name) if isinstance(model, str) else None
    if isinstance(model, str) and "/" not in name and (BUNDLED / name / "card.json").is_file():
        files = _read(name, BUNDLED / name)
    elif path.is_dir():
        files = _read_folder(name, path)
    elif path.suffix == ".zip" and path.is_file():
        folder, manifest = archives.from_file(path, cache=Cache.at(cache_dir))
        files = _read_recorded(folder, manifest)
    elif isinstance(model, str) and re.match("https?://", name):
        folder, manifest = archives.from_url(name, cache=Cache.at(cache_dir), offline=is_offline)
        files = _read_recorded(folder, manifest)
    elif listing is not None and listing.source == "flashrank":
        _check_listing(listing, format, check_family)
        folder, manifest = archives.from_flashrank(
            listing, revision=revision, cache=Cache.at(cache_dir), offline=is_offline
        )
        files = _read_recorded(folder, manifest)
    elif isinstance(model, str) and _HUB_NAME.fullmatch(listing.repository if listing else name):
        if listing is not None:
            _check_code(name, format, format in listing.remote_code, trust_remote_code)
            check_family({}, listing.family, name)
        folder, commit = hub.download(
            listing.repository if listing else name,
            revision=revision or (listing.revision if listing else None),
            cache=Cache.at(cache_dir),
            offline=is_offline,
            format=format,
            precision=precision,
            check=lambda config: check(config, listing.family if listing else None),
        )
        files = _read(name, folder, commit, listing)
    else:
        bundled = sorted(path.parent.name for path in BUNDLED.glob("*/card.json"))
        raise ModelNotFoundError(
            f"no model {name!r}: expected a bundled name {bundled}, an existing folder with "
            "config.json, tokenizer.json and model.onnx, a zip archive of one, its address with "
            "#sha256=, a hub repository as 'owner/name', or a name that resift models list shows"
        )
    check(files.config, files.family)
    return files


def _check_listing(
    listing: Listing,
    format: str,  # noqa: A002
    check_family: Callable[[Mapping[str, Any], str | None, str], object],
) -> None:
    check_family({}, listing.family, listing.name)
    if format not in listing.formats:
        raise BackendUnavailableError(
            f"{listing.name} has its weights as {list(listing.formats)}, not as {format}; leave "
            "backend out, or take another model"
        )


def _check_code(name: str, format: str, needed: bool, trusted: bool) -> None:  # noqa: A002
    """Refuse a model that only its repository's code can run; an ONNX graph needs none."""
    if not needed or format == "onnx":
        return
    raise UnsupportedModelError(
        f"{name}: only code from its repository can run its {format} weights. resift runs no such "
        "code unless trust_remote_code=True is given with a full commit as revision="
        f"{', and no backend of this version does so even then' if trusted else ''}; take its ONNX "
        "graph where there is one, or another model"
    )


def _read_folder(name: str, folder: Path) -> ModelFiles:
    """A folder of the user's; one that was made to be carried has to be as it was made."""
    manifest = Manifest.read(folder / BUNDLE_MANIFEST)
    if manifest is None:
        return _read(name, folder)
    manifest.check_names(folder)
    manifest.check_contents(folder)
    return _read_recorded(folder, manifest)


def _read_recorded(folder: Path, manifest: Manifest) -> ModelFiles:
    return _read(manifest.name, folder, manifest.revision, find_listing(manifest.name))


def _read(
    name: str, folder: Path, revision: str | None = None, listing: Listing | None = None
) -> ModelFiles:
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
