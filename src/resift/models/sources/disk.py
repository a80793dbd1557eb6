"""Models on disk: bundled with the package, or in the user's folders."""

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
        """Return ``None``: nothing has to be fetched."""

    def fetch(self, wanted: Wanted) -> ModelFiles:  # noqa: ARG002
        """Read the folder; a bundle must match its manifest."""
        manifest = Manifest.read(self.path / BUNDLE_MANIFEST)
        if manifest is None:
            return read_files(self.name, self.path)
        manifest.check_names(self.path)
        manifest.check_contents(self.path)
        return read_recorded(self.path, manifest)


def is_bundled(name: str) -> bool:
    """Whether ``name`` is that of a model bundled with the package."""
    return "/" not in name and (BUNDLED / name / "card.json").is_file()
