"""Finding a model's files for the installed backends: described, judged, and then fetched."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from resift.backends.choice import having_code
from resift.backends.table import backend_entry
from resift.errors import BackendUnavailableError, UnsupportedModelError
from resift.families.table import find_family
from resift.given import resolved
from resift.loading.plan import Wish
from resift.models.catalogue import Listing
from resift.models.find import find_source
from resift.models.folder import ModelFiles
from resift.options import LoadOptions


def find_files(options: LoadOptions, backends: Sequence[str]) -> ModelFiles:
    """Find the files of a model, with weights that one of ``backends`` runs.

    A model that none of them runs is refused as soon as that is known: before anything, or at least
    before any weights, are fetched. Raises ``ModelError`` or ``BackendUnavailableError``.
    """
    wish = Wish.of(backends, options.precision)
    judge = _Judge(os.fspath(options.model), backends, wish.formats, options.trust_remote_code)
    source = find_source(
        options.model,
        revision=options.revision,
        cache_dir=options.cache_dir,
        offline=options.offline,
        # A function is called only where something is downloaded.
        token=lambda: resolved(options.token),
    )
    if source.listing is not None:
        judge.listing(source.listing)
    config = source.describe(wish)
    if config is not None:
        judge.config(config, source.listing.family if source.listing else None)
    files = source.fetch(wish)
    judge.config(files.config, files.family)
    return files


@dataclass(frozen=True, slots=True)
class _Judge:
    """Refuses models that ``backends`` can't run, by raising."""

    name: str
    backends: Sequence[str]
    formats: Sequence[str]
    trusts: bool

    def listing(self, listing: Listing) -> None:
        """Judge by the catalogue's entry."""
        usable = set(self.formats).intersection(listing.formats)
        if usable and usable.issubset(listing.remote_code):
            self._refuse_code(listing.name)
        family = find_family({}, listing.family, listing.name)
        # The family is known before the configuration.
        architecture = getattr(family, "architecture", None)
        config = {"architectures": [architecture] if architecture else []}
        having_code(self.backends, config, listing.name)
        if not usable:
            raise BackendUnavailableError(
                f"{listing.name} has its weights as {list(listing.formats)}, not as "
                f"{' or '.join(self.formats)}; install a backend that reads them, leave backend "
                "out, or take another model"
            )

    def config(self, config: Mapping[str, Any], family: str | None) -> None:
        """Judge by ``config.json``, and the family that the card or the catalogue names."""
        ours = {each for name in self.backends for each in backend_entry(name).architectures}
        # An ONNX graph needs no code.
        has_code = "onnx" in self.formats or ours.intersection(config.get("architectures") or ())
        if config.get("auto_map") and not has_code:
            self._refuse_code(self.name)
        find_family(config, family, self.name)
        having_code(self.backends, config, self.name)

    def _refuse_code(self, name: str) -> NoReturn:
        also = ", and no backend of this version does so even then" if self.trusts else ""
        raise UnsupportedModelError(
            f"{name}: only code from its repository can run it. resift runs no such code "
            f"unless trust_remote_code=True is given with a full commit as revision={also}; take "
            "its ONNX graph where there is one, or another model"
        )
