"""Where models come from: the only code that touches disk or network for weights."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from resift.errors import BackendUnavailableError, ModelNotFoundError, UnsupportedModelError
from resift.models import archives, hub
from resift.models.artifacts import Wanted, companions, lone_graph, usual
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
        """Those of its weights that are there, best first, for whatever processor."""

        def is_there(name: str) -> bool:
            return (self.folder / name).is_file()

        if self.card:
            return tuple(each for each in self.card.artifacts if is_there(each.file))
        return usual(is_there) or lone_graph(self.folder)

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

        Those of its other weights are taken within the artifact's or the card's tolerance. Raises
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
        """The file of the weights.

        Raises ``ModelNotFoundError`` where it isn't there, ``UnsupportedModelError`` where it, or
        one that it refers to, isn't the card's or is outside the folder.
        """
        path = _required(self.folder, artifact.file, self.name)
        _check_digest(path, artifact.sha256)
        if path.suffix == ".onnx":
            for name in read_graph(path).data_files:
                # Relative to the graph, and maybe an absolute path.
                relative = os.path.relpath(path.parent / name, self.folder)
                data = _required(self.folder, relative, self.name)
                _check_digest(
                    data, artifact.data_sha256 if relative == artifact.data_file else None
                )
        return path


def is_bundled(name: str) -> bool:
    """Whether it is the name of a model that comes with the package."""
    return "/" not in name and (BUNDLED / name / "card.json").is_file()


def find_model(
    model: str | os.PathLike[str],
    *,
    revision: str | None,
    cache_dir: str | os.PathLike[str] | None,
    offline: bool | None,
    wanted: Wanted,
    trust_remote_code: bool,
    check_family: Callable[[Mapping[str, Any], str | None, str], object],
    known_code: Collection[str] = (),
    token: Callable[[], str | None] = lambda: None,
) -> ModelFiles:
    """A bundled name, a folder, a zip archive, an address, or a name on the hub, in this order.

    A name on the hub is a repository's, or one of the catalogue, some of which are FlashRank's
    archives. ``wanted`` says which weights to fetch. ``check_family`` gets a
    model's ``config.json``, the family that its card or the catalogue names, and the model's name;
    what it raises is raised before anything, or before any weights, are fetched. Of the
    architectures ``known_code``, the code in a repository isn't needed. ``token`` is asked
    for, and sent to the hub alone, where a repository is downloaded; where it gives ``None``, the
    hub's client looks for one of its own.

    Raises ``ModelNotFoundError``, or ``OfflineError`` where it would have to be downloaded and
    mustn't; ``UnsupportedModelError`` for files that aren't what was recorded, or not safe.
    """

    def check(config: Mapping[str, Any], family: str | None) -> None:
        known = set(known_code).intersection(config.get("architectures") or ())
        # An ONNX graph needs no code.
        if config.get("auto_map") and "onnx" not in formats and not known:
            _refuse_code(name, trust_remote_code)
        check_family(config, family, name)

    name = os.fspath(model)
    path = Path(name)
    formats = wanted.formats
    is_offline = hub.is_offline(offline)
    listing = find_listing(name) if isinstance(model, str) else None
    if isinstance(model, str) and is_bundled(name):
        files = read_files(name, BUNDLED / name)
    elif path.is_dir():
        files = _read_folder(name, path)
    elif path.suffix == ".zip" and path.is_file():
        folder, manifest = archives.from_file(path, cache=Cache.at(cache_dir))
        files = _read_recorded(folder, manifest)
    elif isinstance(model, str) and re.match("https?://", name):
        folder, manifest = archives.from_url(name, cache=Cache.at(cache_dir), offline=is_offline)
        files = _read_recorded(folder, manifest)
    elif listing is not None and listing.source == "flashrank":
        _check_listing(listing, formats, trust_remote_code, check_family)
        folder, manifest = archives.from_flashrank(
            listing, revision=revision, cache=Cache.at(cache_dir), offline=is_offline
        )
        files = _read_recorded(folder, manifest)
    elif isinstance(model, str) and _HUB_NAME.fullmatch(listing.repository if listing else name):
        if listing is not None:
            _check_listing(listing, formats, trust_remote_code, check_family)
        folder, commit = hub.download(
            listing.repository if listing else name,
            revision=revision or (listing.revision if listing else None),
            cache=Cache.at(cache_dir),
            offline=is_offline,
            wanted=wanted,
            token=token,
            check=lambda config: check(config, listing.family if listing else None),
        )
        files = read_files(name, folder, commit, listing)
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
    formats: Sequence[str],
    trusted: bool,
    check_family: Callable[[Mapping[str, Any], str | None, str], object],
) -> None:
    """What can be known of a listed model before anything of it is fetched."""
    usable = set(formats).intersection(listing.formats)
    if usable and usable.issubset(listing.remote_code):
        _refuse_code(listing.name, trusted)
    check_family({}, listing.family, listing.name)
    if not usable:
        raise BackendUnavailableError(
            f"{listing.name} has its weights as {list(listing.formats)}, not as "
            f"{' or '.join(formats)}; install a backend that reads them, leave backend out, or "
            "take another model"
        )


def _refuse_code(name: str, trusted: bool) -> NoReturn:
    raise UnsupportedModelError(
        f"{name}: only code from its repository can run it. resift runs no such code unless "
        "trust_remote_code=True is given with a full commit as revision="
        f"{', and no backend of this version does so even then' if trusted else ''}; take its ONNX "
        "graph where there is one, or another model"
    )


def _read_folder(name: str, folder: Path) -> ModelFiles:
    """A folder of the user's; one that was made to be carried has to be as it was made."""
    manifest = Manifest.read(folder / BUNDLE_MANIFEST)
    if manifest is None:
        return read_files(name, folder)
    manifest.check_names(folder)
    manifest.check_contents(folder)
    return _read_recorded(folder, manifest)


def _read_recorded(folder: Path, manifest: Manifest) -> ModelFiles:
    return read_files(manifest.name, folder, manifest.revision, find_listing(manifest.name))


def read_files(
    name: str, folder: Path, revision: str | None = None, listing: Listing | None = None
) -> ModelFiles:
    """The model in a folder, whose files aren't compared with any record.

    Raises ``ModelNotFoundError`` without a ``config.json``, ``UnsupportedModelError`` for that or
    a card that is damaged.
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
