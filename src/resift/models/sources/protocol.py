"""What a source of models is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from resift.models.artifacts import Wanted
from resift.models.catalogue import Listing
from resift.models.folder import ModelFiles


class Source(Protocol):
    """One model, where it was found: described first, and then fetched.

    Between the two, whoever loads it decides whether it can be run at all.
    """

    @property
    def listing(self) -> Listing | None:
        """What the catalogue says of it."""

    def describe(self, wanted: Wanted) -> Mapping[str, Any] | None:
        """Its ``config.json``; ``None`` where that isn't known, or fetched, before the rest.

        Raises ``ModelError`` and ``BackendUnavailableError`` for what is known to fail by then.
        """

    def fetch(self, wanted: Wanted) -> ModelFiles:
        """The model on disk, its files compared with what was recorded.

        Raises ``OfflineError``, ``ModelNotFoundError``, ``UnsupportedModelError``, or
        ``BackendUnavailableError`` where there are no such weights.
        """
