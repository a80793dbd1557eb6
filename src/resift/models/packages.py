"""Models that packages bring: a name, by entry point, for a folder of data in a package."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from resift import plugins
from resift.errors import ModelError, ModelNotFoundError, UnsupportedModelError
from resift.models.catalogue import listings

GROUP = "resift.models"
"""The group of entry points. ``name = "package"``: the folder ``name`` in a package to import."""
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
"""A model's name in a package, which is a name of a distribution too. Paths and the hub's names
have a slash, and so are none."""

# In a table, so that they are found where there are no metadata: in a source tree on PYTHONPATH,
# or an application that was frozen.
_OURS = {"resift-nano": "resift.bundled", "resift-small": "resift.bundled"}
_PACKAGE = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")


@dataclass(frozen=True, slots=True)
class Packaged:
    """A model's name, and the package that has its folder."""

    name: str
    package: str
    """The package to import, were it code: its folder is found, and nothing in it is run."""
    distribution: str
    version: str

    @property
    def origin(self) -> str:
        """The name and version of its distribution."""
        return f"{self.distribution} {self.version}"

    @property
    def is_ours(self) -> bool:
        """Whether it is bundled with resift."""
        return _OURS.get(self.name) == self.package

    @property
    def folder(self) -> Path:
        """The folder of the model's files.

        Raises ``UnsupportedModelError`` for an invalid entry point, ``ModelNotFoundError`` where
        the package or the folder is missing; both name the distribution.
        """
        if not (NAME.fullmatch(self.name) and _PACKAGE.fullmatch(self.package)):
            raise UnsupportedModelError(
                f"{self}: expected a name of letters, digits, '.', '_' and '-', and the name of a "
                f"package to import; {self.advice}"
            )
        top, *inner = self.package.split(".")
        try:
            # Of the topmost package alone, as looking for an inner one would import it.
            spec = find_spec(top)
        # Finders are other people's code.
        except Exception as error:
            raise ModelNotFoundError(
                f"{self}: {top!r} can't be found: {error!r}; {self.advice}"
            ) from error
        places = spec.submodule_search_locations if spec else None
        if not places:
            raise ModelNotFoundError(
                f"{self}: there is no package {top!r} to import; {self.advice}"
            )
        folders = [Path(place, *inner, self.name) for place in places]
        for each in folders:
            if each.is_dir():
                return each
        raise ModelNotFoundError(
            f"{self}: there is no folder {folders[0]}, where the model's files are expected; "
            f"{self.advice}"
        )

    @property
    def advice(self) -> str:
        """Advice for where its files aren't as they should be."""
        return f"install {self.distribution} again, or uninstall it"

    def __str__(self) -> str:
        return f"the model {self.name!r} of {self.origin} ({GROUP}: {self.package!r})"


def packaged_models() -> list[Packaged]:
    """All models of installed packages, resift's own among them, sorted, usable or not."""
    from resift import __version__

    ours = [Packaged(name, package, "resift", __version__) for name, package in _OURS.items()]
    others = [
        Packaged(point.name, point.value, point.dist.name, point.dist.version)
        for point in plugins.installed(GROUP)
        if point.dist
    ]
    return sorted({*ours, *others}, key=lambda each: (each.name, each.distribution))


def find_packaged(name: str) -> Packaged | None:
    """Find the model of this name; ``None`` where no package has it.

    Raises ``UnsupportedModelError`` for a name that two packages have, or that a package and the
    catalogue have.
    """
    if not NAME.fullmatch(name):
        return None
    found = [each for each in packaged_models() if each.name == name]
    if len(found) > 1:
        raise UnsupportedModelError(
            f"{' and '.join(map(str, found))} have the same name; expected one of them: uninstall "
            "the other, or give the folder of its files as model="
        )
    listing = listings().get(name)
    if found and listing is not None:
        raise UnsupportedModelError(
            f"{found[0]} has the name of a model in resift's catalogue, {listing.repository!r} "
            f"({listing.source}): as model=, give the folder of the package's files, or the full "
            "name 'owner/name' of the catalogue's; or package it under another name"
        )
    return found[0] if found else None


def usable_names() -> list[str]:
    """The names that packages have, without those that can't be used."""
    return sorted({each.name for each in packaged_models() if fault(each) is None})


def fault(packaged: Packaged) -> ModelError | None:
    """Say why a model can't be found by its name: ``None`` where it can. Its files aren't read."""
    try:
        find_packaged(packaged.name)
        _ = packaged.folder
    except ModelError as error:
        return error
    return None
