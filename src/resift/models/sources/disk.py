"""Models on disk: those that come with the package, and folders of the user's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from resift.models.artifacts import Wanted
from resift.models.folder import ModelFiles, read_files, read_recorded
from resift.models.store.manifest import BUNDLE_MANIFEST, Manifest

BUNDLED = Path(__file__).parents[2] / "bundled"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with a model in it."""

    name: str
    path: Path
    listing = None

    def describe(self, wanted: Wanted) -> None:
        """Nothing would have to be fetched."""

    def fetch(self, wanted: Wanted) -> ModelFiles:  # noqa: ARG002
        """Read it. One that was made to be carried has to be as it was made."""
        manifest = Manifest.read(self.path / BUNDLE_MANIFEST)
        if manifest is None:
            return read_files(self.name, self.path)
        manifest.check_names(self.path)
        manifest.check_contents(self.path)
        return read_recorded(self.path, manifest)


def is_bundled(name: str) -> bool:
    """Whether it is the name of a model that comes with the package."""
    return "/" not in name and (BUNDLED / name / "card.json").is_file()
