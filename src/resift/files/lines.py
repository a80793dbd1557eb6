"""Lines of files, each with its place; those of JSON with checked keys."""

from __future__ import annotations

import gzip
import json
import math
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from resift.errors import InvalidRequestError

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Line:
    """An object, and where it stands; errors name the file, the line and the key."""

    place: str
    values: Mapping[str, Any]

    def error(self, key: str, expected: str) -> InvalidRequestError:
        """The error of a key that isn't what was expected."""
        given = f"not {repr(self.values[key])[:60]}" if key in self.values else "and there is none"
        return InvalidRequestError(f"{self.place}: {key!r} must be {expected}, {given}")

    def name(self, key: str) -> str:
        """An id: a str, or a whole number as one."""
        given = self.values.get(key)
        if isinstance(given, bool) or not isinstance(given, (str, int)) or given == "":
            raise self.error(key, "a str or a whole number")
        return str(given)

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
        try:
            found = float(given)
        except OverflowError:
            found = math.inf
        if not math.isfinite(found):
            raise self.error(key, "finite")
        return found

    def optional_int(self, key: str) -> int | None:
        """A whole number, or ``None`` where it is missing or null."""
        given = self.values.get(key)
        if isinstance(given, float) and given.is_integer():
            return int(given)
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
        return [Line(f"{self.place}: {key}[{at}]", each) for at, each in enumerate(given)]


def _given(line: Line, key: str, found: _T | None, expected: str) -> _T:
    if found is None:
        raise line.error(key, expected)
    return found


def is_json(path: Path) -> bool:
    """Whether the name says JSON lines."""
    return path.name.removesuffix(".gz").endswith((".jsonl", ".ndjson", ".json"))


def text_lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a text, plain or ``.gz``, that aren't blank; each with its ``file:number``.

    Raises ``InvalidRequestError`` for a file that can't be read, or isn't UTF-8.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}:{number}", line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"{path} isn't UTF-8: {error}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidRequestError(f"{path} can't be read: {error}") from error


def columns_of(line: str) -> list[str]:
    """The columns between spaces and tabs; ids may have whitespace of other kinds."""
    return [each for each in re.split("[ \t]+", line) if each]


def json_lines(path: Path) -> Iterator[Line]:
    """The objects of a file of JSON lines.

    Raises ``InvalidRequestError`` as ``text_lines`` and ``json_line`` do.
    """
    for place, text in text_lines(path):
        yield json_line(text, place)


def json_line(text: str, place: str) -> Line:
    """A text as an object. Raises ``InvalidRequestError`` for anything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"{place} isn't JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidRequestError(f"{place} must be a JSON object, not {text.strip()[:80]!r}")
    return Line(place, found)
