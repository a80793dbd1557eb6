"""Finding a model: the order in which a name is looked up."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from resift.errors import ModelNotFoundError
from resift.models.catalogue import find_listing
from resift.models.packages import find_packaged, usable_names
from resift.models.sources import disk
from resift.models.sources.archives import FileArchive, UrlArchive
from resift.models.sources.flashrank import FlashRankArchive
from resift.models.sources.hub import Repository
from resift.models.sources.protocol import Source
from resift.models.store.cache import Cache

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_TRUE = frozenset({"1", "ON", "YES", "TRUE"})


def find_source(
    model: str | os.PathLike[str],
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    offline: bool | None = None,
    token: Callable[[], str | None] = lambda: None,
) -> Source:
    """Find a name in a package, a folder, a zip archive, an address, or a hub name, in this order.

    A name on the hub is a repository's, or one of the catalogue, some of which are FlashRank's
    archives. ``token`` is called where a repository is downloaded, and its result is sent to the
    hub alone; where it returns ``None``, the hub's client looks for its own.

    Raises ``ModelNotFoundError`` for an unknown name, ``UnsupportedModelError`` for one that two
    packages have, and ``InvalidRequestError`` for an address without a digest and for a cache that
    others may write to.
    """
    name = os.fspath(model)
    path = Path(name)
    packaged = find_packaged(name) if isinstance(model, str) else None
    if packaged is not None:
        return disk.Package(packaged)
    if path.is_dir():
        return disk.Folder(name, path)
    if path.suffix == ".zip" and path.is_file():
        return FileArchive(path, cache=Cache.at(cache_dir))
    if isinstance(model, str):
        is_off = _is_offline(offline)
        listing = find_listing(name)
        if re.match("https?://", name):
            return UrlArchive.at(name, cache=Cache.at(cache_dir), offline=is_off)
        if listing is not None and listing.source == "flashrank":
            return FlashRankArchive(
                listing=listing, revision=revision, cache=Cache.at(cache_dir), offline=is_off
            )
        repository = listing.repository if listing else name
        if _HUB_NAME.fullmatch(repository):
            return Repository(
                name=name,
                repository=repository,
                revision=revision or (listing.revision if listing else None),
                cache=Cache.at(cache_dir),
                offline=is_off,
                token=token,
                listing=listing,
            )
    raise ModelNotFoundError(
        f"no model {name!r}: expected a name in an installed package {usable_names()}, an existing "
        "folder with "
        "config.json, tokenizer.json and model.onnx, a zip archive of one, its address with "
        "#sha256=, a hub repository as 'owner/name', or a name that resift models list shows"
    )


def _is_offline(offline: bool | None) -> bool:
    """Whether to stay offline: the option, or else ``RESIFT_OFFLINE`` or ``HF_HUB_OFFLINE``."""
    if offline is not None:
        return offline
    names = ("RESIFT_OFFLINE", "HF_HUB_OFFLINE")
    return any(os.environ.get(name, "").upper() in _TRUE for name in names)
