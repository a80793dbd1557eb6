"""The sha256 of each of a model's files: recorded once, checked at every load."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from hashlib import file_digest
from pathlib import Path
from uuid import uuid4

from resift.errors import ModelNotFoundError, UnsupportedModelError
from resift.models.card import DESCRIPTIONS
from resift.models.store.paths import check_inside, is_hub_link, list_files

SHA256 = re.compile(r"[0-9a-f]{64}")
"""A sha256 as hexadecimal digits."""
BUNDLE_MANIFEST = "resift-bundle.json"
"""The file name of a bundle's manifest."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """The size and sha256 of one file when it was recorded."""

    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The files that a model's folder must hold, no more and no less."""

    name: str
    revision: str | None
    files: Mapping[str, FileRecord]

    @classmethod
    def of(
        cls, folder: Path, *, name: str, revision: str | None, files: Iterable[str] | None = None
    ) -> Manifest:
        """Record the files named, or by default all files of a folder.

        Raises ``UnsupportedModelError`` for a link that leads out of the folder, and for a file
        that differs from the hub's sha256; ``ModelNotFoundError`` for one that is missing.
        """
        names = list_files(folder) if files is None else sorted(files)
        recorded = {}
        for each in names:
            path = check_inside(folder / each, folder)
            if not path.is_file():
                raise ModelNotFoundError(f"{path} is missing; {_again(name)}")
            digest = sha256(path)
            # The hub names large files by their sha256, and its client only looks at their size.
            named = path.readlink().name if path.is_symlink() else ""
            if SHA256.fullmatch(named) and named != digest:
                raise UnsupportedModelError(
                    f"{path} is damaged: its sha256 is {digest}, the hub says {named}; "
                    f"{_again(name)}"
                )
            recorded[each] = FileRecord(path.stat().st_size, digest)
        return cls(name=name, revision=revision, files=recorded)

    @classmethod
    def read(cls, path: Path) -> Manifest | None:
        """Read a manifest; ``None`` where the file is missing.

        Raises ``UnsupportedModelError`` for a file that isn't a manifest.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                name=str(content["name"]),
                revision=content["revision"],
                files={name: FileRecord(**record) for name, record in content["files"].items()},
            )
        except FileNotFoundError:
            return None
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UnsupportedModelError(
                f"{path} is not a list of a model's files: {error!r}; remove the model with "
                "resift models remove, and get it again"
            ) from error

    def write(self, path: Path) -> None:
        """Write the manifest, replacing the file as a whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        begun = path.with_name(f".{path.name}-{uuid4().hex}")
        begun.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8", newline="\n")
        begun.replace(path)

    def is_complete(self, folder: Path) -> bool:
        """Whether all files exist; their content isn't checked."""
        return all((folder / each).is_file() for each in self.files)

    def check_names(self, folder: Path, *, again: str | None = None) -> None:
        """Raise ``UnsupportedModelError`` for a file that isn't the model's.

        Other weights linked there by ``huggingface_hub`` are ignored. ``again`` says how to get the
        model again where it isn't in the cache.
        """
        for each in list_files(folder):
            ignored = each not in DESCRIPTIONS and is_hub_link(folder / each)
            if each not in self.files and each != BUNDLE_MANIFEST and not ignored:
                raise UnsupportedModelError(
                    f"{folder / each} doesn't belong to {self.name}: it came after the model's "
                    "files were recorded. Remove the file, or the model: "
                    f"{again or _again(self.name)}"
                )

    def check_contents(self, folder: Path, *, again: str | None = None) -> None:
        """Raise ``ModelNotFoundError`` for a missing file, ``UnsupportedModelError`` if altered."""
        again = again or _again(self.name)
        for each, record in self.files.items():
            path = folder / each
            if not path.is_file():
                raise ModelNotFoundError(
                    f"{path} is missing: it was there when {self.name} was recorded; {again}"
                )
            check_inside(path, folder)
            size = path.stat().st_size
            if size != record.size:
                raise UnsupportedModelError(
                    f"{path} is damaged: it has {size} bytes, {record.size} were recorded; {again}"
                )
            digest = sha256(path)
            if digest != record.sha256:
                raise UnsupportedModelError(
                    f"{path} was altered: its sha256 is {digest}, {record.sha256} was recorded; "
                    f"{again}"
                )


def sha256(path: Path) -> str:
    """The sha256 of a file's content, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _again(name: str) -> str:
    return f"run resift models remove {name}, and get it again"
