"""Models from the Hugging Face hub, through its own client and in its own layout."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resift.checks import COMMIT
from resift.errors import (
    BackendUnavailableError,
    ModelNotFoundError,
    OfflineError,
    ResiftError,
    UnsupportedModelError,
)
from resift.models.artifacts import Wanted, companions, is_whole
from resift.models.cache import Cache
from resift.models.card import DESCRIPTIONS, USUAL_ARTIFACTS, Artifact, Card
from resift.models.downloads import is_refusal
from resift.models.manifest import Manifest
from resift.models.paths import check_inside, list_files, read_json
from resift.precision import DYNAMIC_INT8
from resift.redaction import shown

_logger = logging.getLogger(__name__)

_TRUE = frozenset({"1", "ON", "YES", "TRUE"})


def is_offline(offline: bool | None) -> bool:
    """The option where it was given, else ``RESIFT_OFFLINE`` or ``HF_HUB_OFFLINE``."""
    if offline is not None:
        return offline
    names = ("RESIFT_OFFLINE", "HF_HUB_OFFLINE")
    return any(os.environ.get(name, "").upper() in _TRUE for name in names)


def store_name(repository: str) -> str:
    """The folder of a repository in the cache, as the hub's client names it."""
    return "models--" + repository.replace("/", "--")


def download(
    repository: str,
    *,
    revision: str | None,
    cache: Cache,
    offline: bool,
    wanted: Wanted,
    check: Callable[[Mapping[str, Any]], object],
    token: Callable[[], str | None],
) -> tuple[Path, str]:
    """The folder of a repository's snapshot in the cache, and its commit.

    Fetches what is missing: the descriptions, and the weights for this machine. ``check`` gets
    ``config.json`` before the weights are fetched. A snapshot named by its commit that is there
    already is taken without asking the hub, and so is any where the hub can't be reached, which is
    then said in the log. Offline, nothing is fetched and no socket is opened.

    Raises ``OfflineError``, ``ModelNotFoundError``, ``BackendUnavailableError`` where there are no
    such weights, and what the manifest's checks raise.
    """
    pinned = revision is not None and COMMIT.fullmatch(revision)
    with cache.lock(store_name(repository), create=not offline):
        manifest = None
        if offline or pinned:
            manifest = _cached(repository, revision, cache, wanted, settle=offline)
        if manifest is None and offline:
            raise _offline_error(repository, revision, cache)
        if manifest is None or not (offline or manifest.is_complete(_folder(manifest, cache))):
            try:
                manifest = _fetch(repository, revision, cache, wanted, check, token())
            except _UnreachableError as unreachable:
                error = unreachable.__cause__
                manifest = _cached(repository, revision, cache, wanted, settle=True)
                if manifest is None:
                    raise _explained(repository, revision, error) from error
                _logger.warning(
                    "can't ask the hub for %s (%s); using revision %s from the cache",
                    repository,
                    type(error).__name__,
                    manifest.revision,
                )
        folder = _folder(manifest, cache)
        manifest.check_names(folder)
    manifest.check_contents(folder)
    return folder, folder.name


class _UnreachableError(Exception):
    """The hub didn't answer, or not now; the cause says how."""


def _fetch(
    repository: str,
    revision: str | None,
    cache: Cache,
    wanted: Wanted,
    check: Callable[[Mapping[str, Any]], object],
    token: str | None,
) -> Manifest:
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.constants import HF_HUB_ETAG_TIMEOUT

    def get(name: str, revision: str | None) -> Path:
        with _asking(repository, revision):
            return Path(
                hf_hub_download(
                    repository, name, revision=revision, cache_dir=cache.root, token=token
                )
            )

    cache.create()
    with _asking(repository, revision):
        # By itself it would wait for ever.
        info = HfApi(token=token).model_info(
            repository, revision=revision, timeout=HF_HUB_ETAG_TIMEOUT
        )
    present = [file.rfilename for file in info.siblings or ()]
    if "config.json" not in present:
        raise ModelNotFoundError(f"{repository}: config.json is missing; expected a model")
    if "card.json" not in present:
        # Before anything is downloaded.
        _choose(repository, None, {}, present, wanted)
    # Not info.sha: the client remembers which commit a name stood for only if given the name, and
    # offline there is nobody else to ask.
    config = get("config.json", revision)
    check(read_json(config))
    folder = config.parent
    described = DESCRIPTIONS.intersection(present)
    for name in sorted(described):
        get(name, folder.name)
    weights = _choose(repository, _card(folder, present), read_json(config), present, wanted)
    for name in weights:
        get(name, folder.name)
    return _recorded(repository, folder, cache, [*described, *weights])


def _card(folder: Path, present: Collection[str]) -> Card | None:
    path = folder / "card.json"
    return Card.parse(read_json(path), path) if path.name in present else None


def _config(folder: Path) -> dict[str, Any]:
    """What ``config.json`` says; nothing where it is missing or damaged, which is said later."""
    path = folder / "config.json"
    try:
        return read_json(path) if path.is_file() else {}
    except UnsupportedModelError:
        # By the manifest's checks, which know how it was, or by whoever reads it to run the model.
        return {}


def _choose(
    repository: str,
    card: Card | None,
    config: Mapping[str, Any],
    present: Iterable[str],
    wanted: Wanted,
) -> list[str]:
    """The files of the weights wanted, of those ``present``.

    Raises ``BackendUnavailableError`` where there are only others of these formats, and
    ``ModelNotFoundError`` where there are none.
    """
    names = sorted(present)

    def is_offered(artifact: Artifact) -> bool:
        # Dynamic int8 is for who asks for it.
        return bool(card) or wanted.precision == DYNAMIC_INT8 or artifact.precision != DYNAMIC_INT8

    listed = card.artifacts if card else USUAL_ARTIFACTS
    artifacts = [each for each in listed if each.file in names]
    chosen, refused = wanted.choose(list(filter(is_offered, artifacts)), config)
    if not chosen:
        expected = [
            each.file
            for each in filter(is_offered, USUAL_ARTIFACTS)
            if wanted.choose([each], config).artifacts
        ]
        message = (
            f"{repository} has no {' or '.join(wanted.formats)} weights in precision "
            f"{wanted.precision or 'fp32 or fp16'} for this processor: expected one of {expected}; "
            f"it has {[each.file for each in artifacts] or 'none that are known'}. "
            f"{''.join(f'{reason}. ' for reason in refused)}Give precision= or backend= what there "
            "is, or export the model to a folder with resift export"
        )
        usable = [each for each in artifacts if each.format in wanted.formats]
        raise BackendUnavailableError(message) if usable else ModelNotFoundError(message)
    first, *wider = chosen
    # What comes out as NaN is computed again in float32.
    files = [first, *(wider if card or first.precision == "fp16" else [])]
    return [name for each in files for name in (each.file, *companions(each, names))]


def _recorded(repository: str, folder: Path, cache: Cache, files: Iterable[str]) -> Manifest:
    """The manifest of a snapshot, with the files that it didn't have yet."""
    key = f"{store_name(repository)}/{folder.name}"
    known = cache.read_record(key)
    recorded = dict(known.files) if known else {}
    missing = [name for name in files if name not in recorded]
    if known and not missing:
        return known
    new = Manifest.of(folder, name=repository, revision=folder.name, files=missing)
    manifest = Manifest(name=repository, revision=folder.name, files={**recorded, **new.files})
    cache.record(key, manifest)
    return manifest


def _cached(
    repository: str, revision: str | None, cache: Cache, wanted: Wanted, *, settle: bool
) -> Manifest | None:
    """The manifest of a snapshot that has all that a model needs; recorded now if it wasn't.

    Where its card lists weights that are wanted more than those in the cache, only to ``settle``.
    """
    store = cache.root / store_name(repository)
    commit = revision or "main"
    if not COMMIT.fullmatch(commit):
        ref = check_inside(store / "refs" / commit, store)
        commit = ref.read_text(encoding="utf-8").strip() if ref.is_file() else ""
    folder = cache.folder(f"{store.name}/{commit}")
    if not (COMMIT.fullmatch(commit) and folder.is_dir()):
        return None
    known = cache.read_record(f"{store.name}/{commit}")
    present = list(known.files) if known else list_files(folder)
    card, config = _card(folder, present), _config(folder)
    try:
        weights = _choose(repository, card, config, present, wanted)
        if card and not settle:
            listed = {*present, *(each.file for each in card.artifacts)}
            if not set(present).issuperset(_choose(repository, card, config, listed, wanted)):
                return None
    except (BackendUnavailableError, ModelNotFoundError):
        return None
    if not {"config.json", "tokenizer.json"}.issubset(present):
        return None
    if known:
        return known
    if not all(is_whole(folder / name) for name in weights):
        # The client links a file when it is whole, but not all files at once.
        return None
    return _recorded(repository, folder, cache, [*DESCRIPTIONS.intersection(present), *weights])


def _folder(manifest: Manifest, cache: Cache) -> Path:
    return cache.folder(f"{store_name(manifest.name)}/{manifest.revision}")


def _offline_error(repository: str, revision: str | None, cache: Cache) -> OfflineError:
    return OfflineError(
        f"{repository} (revision {revision or 'main'}) is not in the cache {cache.root}, or not "
        "all of it, and the network is off (offline=True, RESIFT_OFFLINE or HF_HUB_OFFLINE); load "
        "it once online, give the path of a folder, or use the bundled model: Reranker()"
    )


@contextmanager
def _asking(repository: str, revision: str | None) -> Iterator[None]:
    try:
        yield
    except ResiftError:
        raise
    # The client's exceptions are those of whichever HTTP library its release is built on.
    except Exception as error:
        if is_refusal(error):
            raise _explained(repository, revision, error) from error
        raise _UnreachableError from error


def _explained(repository: str, revision: str | None, error: object) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"can't get {repository} (revision {revision or 'main'}) from the hub: {shown(error)}. "
        "Check the name, the revision and the network; with offline=True only the cache is "
        "read; the bundled model needs neither: Reranker()"
    )
