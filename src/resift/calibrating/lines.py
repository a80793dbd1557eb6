"""Lines of JSON with checked keys; errors name the file, the line and the key."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from resift.errors import InvalidRequestError

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Line:
    """An object, and where it stands."""

    where: str
    values: Mapping[str, Any]

    def error(self, key: str, expected: str) -> InvalidRequestError:
        """The error of a key that isn't what was expected."""
        given = f"not {repr(self.values[key])[:60]}" if key in self.values else "and there is none"
        return InvalidRequestError(f"{self.where}: {key!r} must be {expected}, {given}")

    def text(self, key: str) -> str:
        """A str that is there."""
        return _given(self, key, self.optional_text(key), "a str")

    def optional_text(self, key: str) -> str | None:
        """A str, or ``None`` where it is missing or null."""
        given = self.values.get(key)
        if given is not None and not isinstance(given, str):
            raise self.error(key, "a str or null")
        return given

    def optional_number(self, key: str) -> float | None:
        """A finite number, or ``None`` where it is missing or null."""
        given = self.values.get(key)
        if given is None:
            return None
        if isinstance(given, bool) or not isinstance(given, (int, float)):
            raise self.error(key, "a number or null")
        if not math.isfinite(given):
            raise self.error(key, "finite")
        return float(given)

    def optional_int(self, key: str) -> int | None:
        """A whole number, or ``None`` where it is missing or null."""
        given = self.values.get(key)
        if given is not None and (isinstance(given, bool) or not isinstance(given, int)):
            raise self.error(key, "a whole number or null")
        return given

    def number_from_1(self, key: str) -> int:
        """A whole number from 1."""
        given = _given(self, key, self.optional_int(key), "a whole number from 1")
        if given < 1:
            raise self.error(key, "a whole number from 1")
        return given

    def flag(self, key: str) -> bool:
        """True or false; 1 and 0 are too."""
        given = self.values.get(key)
        if given not in (True, False):
            raise self.error(key, "true or false")
        return bool(given)

    def objects(self, key: str) -> list[Line]:
        """A list of objects."""
        given = self.values.get(key)
        if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            raise self.error(key, "a list of objects")
        return [Line(f"{self.where}: {key}[{at}]", each) for at, each in enumerate(given)]


def _given(line: Line, key: str, found: _T | None, expected: str) -> _T:
    if found is None:
        raise line.error(key, expected)
    return found


def read_lines(path: Path) -> Iterator[Line]:
    """Read a file of one JSON object a line; blank lines are skipped.

    Raises ``InvalidRequestError`` for what isn't JSON, and ``OSError`` where it can't be read.
    """
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            if not text.strip():
                continue
            where = f"{path}:{number}"
            try:
                content = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise InvalidRequestError(f"{where} isn't JSON: {error}") from error
            if not isinstance(content, dict):
                raise InvalidRequestError(
                    f"{where} holds a {type(content).__name__}; expected an object"
                )
            yield Line(where, content)
