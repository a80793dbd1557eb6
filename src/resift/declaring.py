"""The declaration of options: as fields of a dataclass, with their checks and meanings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

Place = Literal["made", "rank", "score"]

_Default = TypeVar("_Default")


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """The declaration of an option, without its name, type and default."""

    check: Callable[[str, Any], Any]
    """Takes the name and the value given; returns the value or raises ``InvalidRequestError``."""
    meaning: str
    """One sentence that describes it, without its first capital and its full stop."""
    see: str = ""
    """A link, from ``docs/contract.md``, to more about it."""
    at: tuple[Place, ...] = ("made",)
    """The places that take it: the making of a ``Reranker``, ``rank``, ``score``."""
    kind: Literal["data", "function", "secret"] = "data"
    """Only data is saved, and can be given on a command line."""
    flag: str = ""
    """The short flag on the command line, such as ``"-n"``."""
    parse: Callable[[str], Any] | None = None
    """Makes a value of the command line's text, where the type alone doesn't say how."""
    adapters: Any = None
    """The default in adapters, where it is another; ``None`` where it isn't."""


def option(
    default: _Default, check: Callable[[str, Any], Any], meaning: str, **more: Any
) -> _Default:
    """Declare an option as a dataclass field; see ``Option`` for ``more``."""
    declared = Option(check=check, meaning=meaning, **more)
    made: Any = field(
        default=default, metadata={"option": declared}, repr=declared.kind != "secret"
    )
    return made  # type: ignore[no-any-return]


def json_or_text(text: str) -> Any:
    """The value that a command line's text means: that of its JSON, or else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def declared_in(kind: type) -> dict[str, Option]:
    """The declarations of all options of a dataclass, by name."""
    return {each.name: each.metadata["option"] for each in fields(kind)}


def check_each(options: Any) -> None:
    """Check every option of a frozen dataclass, and replace it by the value that the check returns.

    Raises ``InvalidRequestError`` naming the first invalid option.
    """
    for name, each in declared_in(type(options)).items():
        object.__setattr__(options, name, each.check(name, getattr(options, name)))
