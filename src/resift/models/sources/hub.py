"""Models from the Hugging Face hub, through its own client and in its own layout."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from resift.checks import COMMIT
from resift.errors import ModelNotFoundError, OfflineError, ResiftError
from resift.models.artifacts import Wanted, choose_files
from resift.models.card import DESCRIPTIONS
from resift.models.catalogue import Listing
from resift.models.folder import ModelFiles, read_files
from resift.models.store.cache import Cache, store_name
from resift.models.store.downloads import is_refusal
from resift.models.store.manifest import Manifest
from resift.models.store.paths import read_json
from resift.models.store.snapshots import find_snapshot, read_card, record, snapshot_folder
from resift.redaction import shown

_logger = logging.getLogger(__name__)


class _Remote(NamedTuple):
    """A snapshot whose ``config.json`` was fetched."""

    folder: Path
    present: list[str]
    """All files that the hub has of the snapshot."""
    get: Callable[[str, str | None], Path]
    """Fetches a file by name and revision."""


class _UnreachableError(Exception):
    """The hub is unreachable or busy; see ``__cause__``."""


@dataclass(kw_only=True, slots=True)
class Repository:
    """A model in a repository of the hub.

    A snapshot that is named by its commit and already in the cache is used without asking the hub;
    so is any snapshot where the hub can't be reached, which is logged. Offline, nothing is fetched
    and no socket is opened.
    """

    name: str
    """The name that the user gave."""
    repository: str
    revision: str | None
    cache: Cache
    offline: bool
    token: Callable[[], str | None] = field(repr=False)
    listing: Listing | None = None
    _found: Manifest | _Remote | None = field(default=None, init=False, repr=False)

    def describe(self, wanted: Wanted) -> Mapping[str, Any] | None:
        """Fetch ``config.json`` before anything else; ``None`` where the cache has all files."""
        with self._lock():
            self._found = self._cached_or_remote(wanted)
            if isinstance(self._found, Manifest):
                return None
            return read_json(self._found.folder / "config.json")

    def fetch(self, wanted: Wanted) -> ModelFiles:
        """Fetch what is missing: the descriptions, and the weights for this machine."""
        with self._lock():
            found = self._found or self._cached_or_remote(wanted)
            if isinstance(found, _Remote):
                try:
                    found = self._download(found, wanted)
                except _UnreachableError as error:
                    found = self._settle(wanted, error)
            folder = snapshot_folder(found, self.cache)
            found.check_names(folder)
        found.check_contents(folder)
        return read_files(self.name, folder, folder.name, self.listing)

    def _cached_or_remote(self, wanted: Wanted) -> Manifest | _Remote:
        if self.offline or COMMIT.fullmatch(self.revision or ""):
            manifest = self._snapshot(wanted, settle=self.offline)
            if manifest is None and self.offline:
                raise self._offline_error()
            if manifest is not None and (
                self.offline or manifest.is_complete(snapshot_folder(manifest, self.cache))
            ):
                return manifest
        try:
            return self._ask(wanted)
        except _UnreachableError as error:
            return self._settle(wanted, error)

    def _ask(self, wanted: Wanted) -> _Remote:
        """List the repository, and fetch its ``config.json``."""
        from huggingface_hub import HfApi, hf_hub_download
        from huggingface_hub.constants import HF_HUB_ETAG_TIMEOUT

        token = self.token()

        def get(name: str, revision: str | None) -> Path:
            with self._asking():
                return Path(
                    hf_hub_download(
                        self.repository,
                        name,
                        revision=revision,
                        cache_dir=self.cache.root,
                        token=token,
                    )
                )

        self.cache.create()
        with self._asking():
            # The client has no timeout of its own here.
            info = HfApi(token=token).model_info(
                self.repository, revision=self.revision, timeout=HF_HUB_ETAG_TIMEOUT
            )
        present = [file.rfilename for file in info.siblings or ()]
        if "config.json" not in present:
            raise ModelNotFoundError(f"{self.repository}: config.json is missing; expected a model")
        if "card.json" not in present:
            # Before anything is downloaded.
            choose_files(self.repository, None, {}, present, wanted)
        # Not info.sha: only when given a name does the client record which commit it stood for, and
        # offline only that record tells.
        return _Remote(get("config.json", self.revision).parent, present, get)

    def _download(self, remote: _Remote, wanted: Wanted) -> Manifest:
        folder, present, get = remote
        described = DESCRIPTIONS.intersection(present)
        for name in sorted(described):
            get(name, folder.name)
        card, config = read_card(folder, present), read_json(folder / "config.json")
        weights = choose_files(self.repository, card, config, present, wanted)
        for name in weights:
            get(name, folder.name)
        return record(self.repository, folder, self.cache, [*described, *weights])

    def _settle(self, wanted: Wanted, unreachable: _UnreachableError) -> Manifest:
        """Use the cache's snapshot, as the hub can't be asked."""
        error = unreachable.__cause__
        manifest = self._snapshot(wanted, settle=True)
        if manifest is None:
            raise self._explained(error) from error
        _logger.warning(
            "can't ask the hub for %s (%s); using revision %s from the cache",
            self.repository,
            type(error).__name__,
            manifest.revision,
        )
        return manifest

    def _snapshot(self, wanted: Wanted, *, settle: bool) -> Manifest | None:
        return find_snapshot(self.repository, self.revision, self.cache, wanted, settle=settle)

    def _lock(self) -> AbstractContextManager[object]:
        return self.cache.lock(store_name(self.repository), create=not self.offline)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except ResiftError:
            raise
        # The client raises the exceptions of whichever HTTP library its release is built on.
        except Exception as error:
            if is_refusal(error):
                raise self._explained(error) from error
            raise _UnreachableError from error

    def _explained(self, error: object) -> ModelNotFoundError:
        return ModelNotFoundError(
            f"can't get {self.repository} (revision {self.revision or 'main'}) from the hub: "
            f"{shown(error)}. Check the name, the revision and the network; with offline=True only "
            "the cache is read; the bundled model needs neither: Reranker()"
        )

    def _offline_error(self) -> OfflineError:
        return OfflineError(
            f"{self.repository} (revision {self.revision or 'main'}) is not in the cache "
            f"{self.cache.root}, or not all of it, and the network is off (offline=True, "
            "RESIFT_OFFLINE or HF_HUB_OFFLINE); load it once online, give the path of a folder, or "
            "use the bundled model: Reranker()"
        )
