"""Models from the Hugging Face hub, through its own client."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resift.errors import ModelNotFoundError, OfflineError
from resift.models.card import USUAL_ARTIFACTS

_TRUE = frozenset({"1", "ON", "YES", "TRUE"})
_DESCRIPTIONS = ("config.json", "tokenizer.json", "tokenizer_config.json", "card.json")
# The first that a repository has is the one to take, with the external data some exports need.
_GRAPHS = tuple(each.file for each in USUAL_ARTIFACTS if each.precision == "fp32")


def is_offline(offline: bool | None) -> bool:
    """The option where it was given, else ``RESIFT_OFFLINE`` or ``HF_HUB_OFFLINE``."""
    if offline is not None:
        return offline
    names = ("RESIFT_OFFLINE", "HF_HUB_OFFLINE")
    return any(os.environ.get(name, "").upper() in _TRUE for name in names)


def download(
    repository: str,
    *,
    revision: str | None,
    cache_dir: str | os.PathLike[str] | None,
    offline: bool | None,
) -> tuple[Path, str]:
    """The folder of a repository's snapshot in the cache, and its commit.

    Fetches what is missing: the descriptions and one ONNX graph. Offline, nothing is fetched and
    no socket is opened. Raises ``OfflineError`` or ``ModelNotFoundError``.
    """
    from huggingface_hub import HfApi, snapshot_download

    cache = None if cache_dir is None else str(Path(cache_dir).expanduser())

    if is_offline(offline):
        cached = _find_cached(repository, revision, cache)
        return cached, cached.name
    with _explained(repository, revision):
        info = HfApi().model_info(repository, revision=revision)
    present = {file.rfilename for file in info.siblings or ()}
    graph = next((name for name in _GRAPHS if name in present), None)
    if graph is None:
        raise ModelNotFoundError(
            f"{repository} has no ONNX graph: expected one of {list(_GRAPHS)}; export it to a "
            "folder and give the folder's path"
        )
    with _explained(repository, revision):
        # Not info.sha: the client remembers which commit a name stood for only if given the name,
        # and offline there is nobody else to ask.
        folder = snapshot_download(
            repository,
            revision=revision,
            cache_dir=cache,
            allow_patterns=[*_DESCRIPTIONS, graph, f"{graph}_data", f"{graph}.data"],
        )
    return Path(folder), Path(folder).name


def _find_cached(repository: str, revision: str | None, cache: str | None) -> Path:
    """The folder of a snapshot that has all that a model needs, or ``OfflineError``.

    File by file: ``snapshot_download(local_files_only=True)`` refuses a snapshot that lacks any
    file of the repository in the newer releases, and takes one that broke off in the older.
    """
    from huggingface_hub import try_to_load_from_cache

    def find(name: str) -> Path | None:
        found = try_to_load_from_cache(repository, name, cache_dir=cache, revision=revision)
        return Path(found) if isinstance(found, str) else None

    invalid_name = None
    try:
        config = find("config.json")
        if config and find("tokenizer.json") and any(map(find, _GRAPHS)):
            return config.parent
    except ValueError as error:
        invalid_name = error
    raise OfflineError(
        f"{repository} (revision {revision or 'main'}) is not in the cache "
        f"{cache or 'of huggingface_hub'}, or not all of it, and the network is off (offline=True, "
        "RESIFT_OFFLINE or HF_HUB_OFFLINE); load it once online, give the path of a folder, or "
        "use the bundled model: Reranker()"
    ) from invalid_name


@contextmanager
def _explained(repository: str, revision: str | None) -> Iterator[None]:
    try:
        yield
    # The client's exceptions are those of whichever HTTP library its release is built on.
    except Exception as error:
        raise ModelNotFoundError(
            f"can't get {repository} (revision {revision or 'main'}) from the hub: {error}. "
            "Check the name, the revision and the network; with offline=True only the cache is "
            "read; the bundled model needs neither: Reranker()"
        ) from error
