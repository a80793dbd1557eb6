"""Parts from other packages: entry points, read when they are first needed."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection
from functools import cache
from importlib.metadata import EntryPoint, distributions
from typing import Generic, TypeVar

from resift.errors import ResiftError

_logger = logging.getLogger(__name__)
T = TypeVar("T")


class Plugins(Generic[T]):
    """The parts of one group of entry points, except those with a name among ``ours``.

    ``is_one`` tells whether a loaded entry point is what is ``expected``; ``error`` is raised for
    parts that can't be used. Finding the parts reads all installed packages, which takes longer
    than ranking (tens of milliseconds), so it is only done where resift's own parts won't do.
    """

    def __init__(
        self,
        group: str,
        *,
        expected: str,
        is_one: Callable[[object], bool],
        error: type[ResiftError],
        ours: Collection[str],
    ) -> None:
        self.group = group
        self.expected = expected
        self.is_one = is_one
        self.error = error
        self.ours = ours

    def names(self) -> list[str]:
        """The names of all parts, whether or not they can be loaded."""
        return list(self._found())

    def get(self, name: str) -> T | None:
        """Load the part of this name; ``None`` where no package has one.

        Raises ``error``, naming the package, where it can't be loaded or two packages have it.
        """
        found = self._found().get(name, [])
        if len(found) > 1:
            packages = " and ".join(map(origin, found))
            raise self.error(
                f"{self.group} {name!r} is in {packages}; expected one package: uninstall the other"
            )
        return self._load(found[0]) if found else None

    def package(self, name: str) -> str:
        """The name and version of the package that has a part, for messages."""
        return " and ".join(map(origin, self._found()[name]))

    def usable(self) -> dict[str, T]:
        """Load all parts that can be loaded; a warning is logged for each that is left out."""
        parts: dict[str, T] = {}
        for name in self._found():
            try:
                part = self.get(name)
            except self.error as error:
                warn_once(f"left out: {error}")
            else:
                if part is not None:
                    parts[name] = part
        return parts

    def _found(self) -> dict[str, list[EntryPoint]]:
        found: dict[str, list[EntryPoint]] = {}
        for point in installed(self.group):
            if point.name in self.ours:
                warn_once(
                    f"left out: {self.group} {point.name!r} of {origin(point)}, as resift has "
                    "one of its own by this name; the package has to choose another"
                )
            else:
                found.setdefault(point.name, []).append(point)
        return found

    def _load(self, point: EntryPoint) -> T:
        where = f"{self.group} {point.name!r} of {origin(point)} ({point.value})"
        advice = "update or uninstall the package"
        try:
            part = point.load()
        # The package's code may raise anything.
        except Exception as error:
            raise self.error(f"{where} can't be loaded: {error!r}; {advice}") from error
        if not self.is_one(part):
            raise self.error(f"{where} is {part!r}; expected {self.expected}: {advice}")
        checked: T = part
        return checked


@cache
def warn_once(message: str) -> None:
    """Log a warning, unless this process has logged it already."""
    _logger.warning("%s", message)


@cache
def installed(group: str) -> tuple[EntryPoint, ...]:
    """The entry points of a group, of all installed distributions; read once in a process.

    A distribution whose metadata are damaged is left out, with a warning.
    """
    found: dict[str, list[EntryPoint]] = {}
    for each in distributions():
        try:
            points = list(each.entry_points.select(group=group))
            if points:
                # Of several by one name, the first on the path is the one that is imported.
                found.setdefault(normal(each.name), points)
        # Whatever their damage leads to; it may have nothing to do with resift.
        except Exception as error:
            warn_once(f"left out: the entry points of {each!r}, which can't be read: {error!r}")
    points = [point for each in found.values() for point in each]
    # Sorted, so that the order of installation changes nothing.
    return tuple(sorted(points, key=lambda point: (point.name, point.value, origin(point))))


def normal(distribution: str) -> str:
    """The name of a distribution as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def origin(point: EntryPoint) -> str:
    """The name and version of the distribution that an entry point is from, for messages."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unnamed package"
