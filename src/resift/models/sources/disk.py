"""Models on disk: in installed packages, or in the user's folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from resift.errors import UnsupportedModelError
from resift.models.artifacts import Wanted
from resift.models.folder import ModelFiles, read_files, read_recorded
from resift.models.packages import Packaged
from resift.models.store.manifest import BUNDLE_MANIFEST, Manifest
from resift.models.store.paths import list_files


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with a model in it."""

    name: str
    path: Path
    listing = None

    def describe(self, wanted: Wanted) -> None:
        """Return ``None``: nothing has to be fetched."""

    def fetch(self, wanted: Wanted) -> ModelFiles:  # noqa: ARG002
        """Read the folder; a bundle must match its manifest."""
        manifest = Manifest.read(self.path / BUNDLE_MANIFEST)
        if manifest is None:
            return read_files(self.name, self.path)
        manifest.check_names(self.path)
        manifest.check_contents(self.path)
        return read_recorded(self.path, manifest)


@dataclass(frozen=True, slots=True)
class Package:
    """A model in an installed package, resift's own among them."""

    packaged: Packaged
    listing = None

    def describe(self, wanted: Wanted) -> None:
        """Return ``None``: nothing has to be fetched."""

    def fetch(self, wanted: Wanted) -> ModelFiles:  # noqa: ARG002
        """Read the package's folder; see ``read_packaged``."""
        return read_packaged(self.packaged)


def read_packaged(packaged: Packaged) -> ModelFiles:
    """Read a model of a package, which must match its manifest where it has one.

    Raises ``ModelNotFoundError`` or ``UnsupportedModelError``, naming the distribution, where files
    are missing or altered, or no card has the digests of the weights.
    """
    folder = packaged.folder
    manifest = Manifest.read(folder / BUNDLE_MANIFEST)
    if manifest is not None:
        manifest.check_names(folder, again=packaged.advice)
        manifest.check_contents(folder, again=packaged.advice)
    has_card = (folder / "card.json").is_file()
    files = read_files(packaged.name, folder) if has_card else None
    if files is None or files.card is None or not files.card.has_digests:
        raise UnsupportedModelError(
            f"{packaged}: {folder / 'card.json'} is missing or lacks digests; expected a card with "
            f"the sha256 of all weights: {packaged.advice}. Its author can make the package with "
            "resift models package"
        )
    return files


def verify_packaged(packaged: Packaged) -> int:
    """Check all files of a model in a package; returns their number. Raises what loading would."""
    files = read_packaged(packaged)
    for each in files.artifacts:
        files.path(each)
    return len(list_files(files.folder))
