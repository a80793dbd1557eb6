"""The interface of sources of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from resift.models.artifacts import Wanted
from resift.models.catalogue import Listing
from resift.models.folder import ModelFiles


class Source(Protocol):
    """One model, where it was found: described first, and then fetched.

    In between, its loader decides whether it can be run at all.
    """

    @property
    def listing(self) -> Listing | None:
        """The catalogue's entry, if there is one."""

    def describe(self, wanted: Wanted) -> Mapping[str, Any] | None:
        """The model's ``config.json``; ``None`` where it can't be known before the rest is fetched.

        Raises ``ModelError`` or ``BackendUnavailableError`` where it is already known to fail.
        """

    def fetch(self, wanted: Wanted) -> ModelFiles:
        """Bring the model to disk, and compare its files with their record.

        Raises ``OfflineError``, ``ModelNotFoundError``, ``UnsupportedModelError``, or
        ``BackendUnavailableError`` where the wanted weights are missing.
        """
