"""A wheel of data files, the same bytes wherever and whenever it is written.

``zipfile``, ``csv`` and ``hashlib`` suffice: a wheel is a zip archive with a list of its files. A
build backend would add an environment, the time, and whatever its next version does.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# The earliest that a zip archive can say. Nothing in the environment changes it.
_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_BLOCK = 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """The metadata of a distribution; each value is one line."""

    name: str
    version: str
    summary: str
    license_expression: str | None
    license_files: Mapping[str, Path]
    """By the names that they get."""
    requires: tuple[str, ...]
    generator: str
    description: str = ""
    """Markdown."""

    @property
    def stem(self) -> str:
        """The part of file names that names the distribution and its version."""
        return f"{module_name(self.name)}-{self.version}"

    def text(self) -> str:
        """The content of ``METADATA``."""
        fields = [
            ("Metadata-Version", "2.4"),
            ("Name", self.name),
            ("Version", self.version),
            ("Summary", self.summary),
            ("Description-Content-Type", "text/markdown; charset=UTF-8"),
            *([("License-Expression", self.license_expression)] if self.license_expression else []),
            *(("License-File", each) for each in sorted(self.license_files)),
            # Public indexes refuse packages with it.
            *([] if self._has_licence else [("Classifier", "Private :: Do Not Upload")]),
            *(("Requires-Dist", each) for each in self.requires),
        ]
        head = "".join(f"{key}: {value}\n" for key, value in fields)
        return f"{head}\n{self.description}"

    @property
    def _has_licence(self) -> bool:
        return bool(self.license_expression or self.license_files)


def module_name(name: str) -> str:
    """A distribution's name as file names have it."""
    return "_".join(filter(None, name.lower().replace("-", "_").replace(".", "_").split("_")))


def write_wheel(
    out: Path, about: Metadata, entry_points: str, files: Mapping[str, Path | bytes]
) -> None:
    """Write a wheel of ``files``, by their paths in it: any Python, any system, data alone."""
    info = f"{about.stem}.dist-info"
    wheel = (
        f"Wheel-Version: 1.0\nGenerator: {about.generator}\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n"
    )
    # Installers that read a wheel from its end find what they need first: its metadata go last.
    members: dict[str, Path | bytes] = {
        **dict(sorted(files.items())),
        **{f"{info}/licenses/{name}": text for name, text in sorted(about.license_files.items())},
        f"{info}/METADATA": about.text().encode(),
        f"{info}/WHEEL": wheel.encode(),
        f"{info}/entry_points.txt": entry_points.encode(),
    }
    record = io.StringIO(newline="")
    rows = csv.writer(record, lineterminator="\n")
    # Stored, as weights hardly compress, and each release of zlib compresses to other bytes.
    with zipfile.ZipFile(out, "x", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            rows.writerow([name, *_add(archive, name, content)])
        rows.writerow([f"{info}/RECORD", "", ""])
        _add(archive, f"{info}/RECORD", record.getvalue().encode())


def _add(archive: zipfile.ZipFile, name: str, content: Path | bytes) -> tuple[str, int]:
    """Add a file; returns its digest as ``RECORD`` has it, and its size in bytes."""
    member = zipfile.ZipInfo(name, _TIME)
    member.create_system = _UNIX
    member.external_attr = (stat.S_IFREG | 0o644) << 16
    # Known before, so that a large file gets the form that it needs.
    member.file_size = len(content) if isinstance(content, bytes) else content.stat().st_size
    digest = hashlib.sha256()
    opened = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
    with opened as source, archive.open(member, "w") as sink:
        while block := source.read(_BLOCK):
            digest.update(block)
            sink.write(block)
    encoded = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
    return f"sha256={encoded}", member.file_size
