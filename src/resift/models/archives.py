"""Models in zip archives: FlashRank's from the hub, others by address and sha256, or on disk."""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp

from resift.checks import COMMIT
from resift.errors import (
    InvalidRequestError,
    ModelNotFoundError,
    OfflineError,
    UnsupportedModelError,
)
from resift.models.cache import Cache
from resift.models.catalogue import Listing
from resift.models.downloads import fetch, locate
from resift.models.manifest import BUNDLE_MANIFEST, Manifest, sha256
from resift.redaction import shown

_MOST_FILES = 1000
_MOST_BYTES = 32 * 2**30
# Weights hardly compress; what unpacks to so many times its size isn't a model.
_MOST_TIMES = 50
_ALLOWANCE = 64 * 2**20
# Loading one runs code. Nothing here reads them, so they aren't unpacked either.
_PICKLES = (".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth")
# What zipfile raises for damage, encryption, unknown methods, and two members of one name.
_NOT_AN_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    FileExistsError,
    NotImplementedError,
    RuntimeError,
)
_DIGEST = re.compile(r"sha256=([0-9a-fA-F]{64})")


def from_flashrank(
    listing: Listing, *, revision: str | None, cache: Cache, offline: bool
) -> tuple[Path, Manifest]:
    """The folder of one of FlashRank's models, as FlashRank itself unpacks it.

    A folder that FlashRank filled is taken as it is. Raises ``OfflineError`` or
    ``ModelNotFoundError``, and what the manifest's checks raise.
    """
    name = listing.name
    with cache.lock(name, create=not offline):
        if not cache.folder(name).is_dir():
            if offline:
                raise _offline_error(name, cache)
            url, commit, etag, size = locate(listing, revision)
            archive = fetch(url, cache, key=f"{name}-{etag}", digest=etag, size=size, token=True)
            try:
                _publish(archive, cache, name, name=name, revision=commit)
            finally:
                archive.unlink()
        manifest = _known(cache, name, name)
    if revision and COMMIT.fullmatch(revision) and manifest.revision != revision:
        raise ModelNotFoundError(
            f"{cache.root / name} holds {name} in revision {manifest.revision or 'unknown'}, not "
            f"{revision}; leave revision out, or run resift models remove {name} and get it again"
        )
    return _checked(cache, name, manifest)


def from_url(given: str, *, cache: Cache, offline: bool) -> tuple[Path, Manifest]:
    """The folder of a zip archive at ``https://…#sha256=…``.

    Raises ``InvalidRequestError`` for an address without its sha256, ``OfflineError``,
    ``ModelNotFoundError``, and ``UnsupportedModelError`` for an archive that is another.
    """
    url, _, fragment = given.partition("#")
    match = _DIGEST.fullmatch(fragment)
    if match is None:
        raise InvalidRequestError(
            f"{shown(url)} comes without a digest, so nobody could tell whether it was replaced; "
            "expected the address of a zip archive followed by #sha256= and 64 hexadecimal digits"
        )
    digest = match[1].lower()
    name, key = shown(url), f"url--{digest[:16]}"
    with cache.lock(key, create=not offline):
        if not cache.folder(key).is_dir():
            if offline:
                raise _offline_error(name, cache)
            archive = fetch(url, cache, key=key, digest=digest, size=None, token=False)
            try:
                _publish(archive, cache, key, name=name, revision=digest[:12])
            finally:
                archive.unlink()
        manifest = _known(cache, key, name)
    return _checked(cache, key, manifest)


def from_file(path: Path, *, cache: Cache) -> tuple[Path, Manifest]:
    """The folder of a zip archive on disk, unpacked into the cache at its first use."""
    digest = sha256(path)
    key = f"file--{digest[:16]}"
    with cache.lock(key):
        if not cache.folder(key).is_dir():
            _publish(path, cache, key, name=str(path), revision=digest[:12])
        manifest = _known(cache, key, str(path))
    return _checked(cache, key, manifest)


def unpack(archive: Path, folder: Path) -> None:
    """Write an archive's files into a new folder, without the folder that holds all of them.

    Raises ``UnsupportedModelError`` for what isn't a zip archive, for members that would be written
    elsewhere or are links, and for more than a model can be.
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


def _publish(archive: Path, cache: Cache, key: str, *, name: str, revision: str | None) -> None:
    """Unpack into the cache: whole, or not at all."""
    cache.create()
    folder = Path(mkdtemp(dir=cache.downloads, prefix=f"{key}-"))
    try:
        unpack(archive, folder)
        bundled = Manifest.read(folder / BUNDLE_MANIFEST)
        if bundled is not None:
            bundled.check_names(folder)
            bundled.check_contents(folder)
            name, revision = bundled.name, bundled.revision
        cache.record(key, Manifest.of(folder, name=name, revision=revision))
        folder.chmod(0o755)
        folder.rename(cache.root / key)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _known(cache: Cache, key: str, name: str) -> Manifest:
    """The manifest of a folder in the cache, recorded now where another program filled it."""
    folder = cache.folder(key)
    manifest = cache.read_record(key)
    if manifest is None:
        manifest = Manifest.of(folder, name=name, revision=None)
        cache.record(key, manifest)
    manifest.check_names(folder)
    return manifest


def _checked(cache: Cache, key: str, manifest: Manifest) -> tuple[Path, Manifest]:
    folder = cache.folder(key)
    manifest.check_contents(folder)
    return folder, manifest


def _offline_error(name: str, cache: Cache) -> OfflineError:
    return OfflineError(
        f"{name} is not in the cache {cache.root}, and the network is off (offline=True, "
        "RESIFT_OFFLINE or HF_HUB_OFFLINE); load it once online, give the path of a folder, or use "
        "the bundled model: Reranker()"
    )
