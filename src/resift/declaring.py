"""How an option is declared: as the field of a dataclass, with its check and its meaning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

Place = Literal["made", "rank", "score"]

_Default = TypeVar("_Default")


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """What is declared of an option beside its name, type and default."""

    check: Callable[[str, Any], Any]
    """Takes the name and what was given; gives the value, or raises ``InvalidRequestError``."""
    meaning: str
    """What it is: one sentence, without its first capital and its full stop."""
    see: str = ""
    """What says more: a link from ``docs/contract.md``."""
    at: tuple[Place, ...] = ("made",)
    """Where it is taken: when a ``Reranker`` is made, by ``rank``, by ``score``."""
    kind: Literal["data", "function", "secret"] = "data"
    """Data alone is saved, and written on a command line."""
    flag: str = ""
    """Its short name on the command line."""


def option(
    default: _Default, check: Callable[[str, Any], Any], meaning: str, **more: Any
) -> _Default:
    """A field that is an option; see ``Option`` for ``more``."""
    declared = Option(check=check, meaning=meaning, **more)
    made: Any = field(
        default=default, metadata={"option": declared}, repr=declared.kind != "secret"
    )
    return made  # type: ignore[no-any-return]


def declared_in(kind: type) -> dict[str, Option]:
    """What is declared of each option of a dataclass, by name."""
    return {each.name: each.metadata["option"] for each in fields(kind)}


def check_each(options: Any) -> None:
    """Check every option of a frozen dataclass, and put what the check gives in its place."""
    for name, each in declared_in(type(options)).items():
        object.__setattr__(options, name, each.check(name, getattr(options, name)))
