"""Unpacking zip archives that may be malicious."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from resift.errors import UnsupportedModelError

_MOST_FILES = 1000
_MOST_BYTES = 32 * 2**30
# Weights hardly compress; an archive that unpacks to so many times its size isn't a model.
_MOST_TIMES = 50
_ALLOWANCE = 64 * 2**20
# Loading such a file runs code. resift reads none of them, so they aren't unpacked either.
_PICKLES = (".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth")
# The errors of zipfile for damage, encryption, unknown methods, and two members of one name.
_NOT_AN_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    FileExistsError,
    NotImplementedError,
    RuntimeError,
)


def unpack(archive: Path, folder: Path) -> None:
    """Write an archive's files into a new folder, without the folder that holds all of them.

    Raises ``UnsupportedModelError`` for a file that isn't a zip archive, for members that are links
    or would be written elsewhere, and for more files or bytes than a model can have.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            members = [each for each in content.infolist() if not each.is_dir()]
            _check_size(archive, members)
            paths = [_path(archive, member) for member in members]
            tops = {path.parts[0] for path in paths if len(path.parts) > 1}
            strip = len(tops) == 1 and all(len(path.parts) > 1 for path in paths)
            for member, path in zip(members, paths, strict=True):
                if path.suffix.lower() in _PICKLES or "__MACOSX" in path.parts:
                    continue
                target = folder.joinpath(*path.parts[strip:])
                target.parent.mkdir(parents=True, exist_ok=True)
                # zipfile ends a member at the size that was checked, and compares its CRC.
                with content.open(member) as source, target.open("xb") as sink:
                    shutil.copyfileobj(source, sink, 2**20)
    except _NOT_AN_ARCHIVE as error:
        raise UnsupportedModelError(
            f"{archive} is not a zip archive that can be unpacked: {error}; get it again"
        ) from error


def _check_size(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    size = sum(member.file_size for member in members)
    most = min(_MOST_BYTES, _ALLOWANCE + _MOST_TIMES * archive.stat().st_size)
    if len(members) > _MOST_FILES or size > most:
        raise UnsupportedModelError(
            f"{archive} would unpack to {len(members)} files of {size} bytes; expected at most "
            f"{_MOST_FILES} files, and {most} bytes from an archive of its size. Unpack it "
            "yourself if you trust it, and give the folder"
        )


def _path(archive: Path, member: zipfile.ZipInfo) -> PurePosixPath:
    path = PurePosixPath(member.filename.replace("\\", "/"))
    kind = stat.S_IFMT(member.external_attr >> 16)
    if (
        path.is_absolute()
        or ".." in path.parts
        or ":" in member.filename
        or kind not in (0, stat.S_IFREG)
    ):
        raise UnsupportedModelError(
            f"{archive} has the member {member.filename!r}, which is a link or leads out of the "
            "model's folder; expected plain files inside it. Don't use this archive"
        )
    return path
