"""The columns of a dataset: where a row has its query, its documents and its id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resift.checks import check_text
from resift.errors import InvalidRequestError


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """The names of columns. A dot leads into an object, unless a column has it in its name.

    Raises ``InvalidRequestError`` for a name that isn't a non-empty ``str``.
    """

    query: str = "query"
    documents: str = "documents"
    """Lists of strings, or of objects whose ``text`` is the document."""
    text: str = "text"
    """The key of a document's text, where documents are objects; a dot leads into another."""
    id: str | None = None
    """What names a rejected row, beside its file and number; ``None`` for nothing."""
    positives: str | None = None
    """What is known to be relevant, for ``Negatives``: texts, objects as in ``documents``, or
    positions in it, from 0; one of them or a list.
    """

    def __post_init__(self) -> None:
        for name in ("query", "documents", "text"):
            if getattr(self, name) is None:
                raise InvalidRequestError(f"{name} must be the name of a column, not None")
        for name in ("query", "documents", "text", "id", "positives"):
            check_text(name, getattr(self, name))


def steps(path: str, names: Any) -> list[str]:
    """The path as names, one inside the other: whole, where ``names`` has it as it is."""
    return [path] if path in names else path.split(".")


def lookup(values: Mapping[str, Any], path: str) -> Any:
    """The value at a path in an object. Raises ``KeyError`` where there is none."""
    found: Any = values
    for name in steps(path, values):
        if not isinstance(found, Mapping):
            raise KeyError(path)
        found = found[name]
    return found
