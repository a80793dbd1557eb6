"""Models from the Hugging Face hub, through its own client."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resift.errors import ModelNotFoundError, OfflineError

_TRUE = frozenset({"1", "ON", "YES", "TRUE"})
_DESCRIPTIONS = ("config.json", "tokenizer.json", "tokenizer_config.json", "card.json")
# The first that a repository has is the one to take, with the external data some exports need.
_GRAPHS = ("onnx/model.onnx", "model.onnx")


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

    cache = None if cache_dir is None else os.fspath(cache_dir)

    if is_offline(offline):
        try:
            folder = snapshot_download(
                repository, revision=revision, cache_dir=cache, local_files_only=True
            )
        except FileNotFoundError as error:
            raise OfflineError(
                f"{repository} (revision {revision or 'main'}) is not in the cache "
                f"{cache or 'of huggingface_hub'}, and the network is off (offline=True, "
                "RESIFT_OFFLINE or HF_HUB_OFFLINE); load it once online, give the path of a "
                "folder, or use the bundled model: Reranker()"
            ) from error
        return Path(folder), Path(folder).name
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
        folder = snapshot_download(
            repository,
            revision=info.sha,
            cache_dir=cache,
            allow_patterns=[*_DESCRIPTIONS, graph, f"{graph}_data", f"{graph}.data"],
        )
    return Path(folder), Path(folder).name


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
