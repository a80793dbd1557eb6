"""JSON lines, each with its place, and checked values of their fields."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from resift.errors import InvalidRequestError


def objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file of JSON lines, plain or ``.gz``, each with its place, ``file:number``.

    Raises ``InvalidRequestError`` for a file that can't be read, and a line that isn't an object.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}:{number}", parsed(line, f"{path}:{number}")
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"{path} isn't UTF-8: {error}") from error
    except (OSError, EOFError) as error:
        raise InvalidRequestError(f"{path} can't be read: {error}") from error


def parsed(line: str, place: str) -> dict[str, Any]:
    """A line as an object. Raises ``InvalidRequestError`` for anything else."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"{place} isn't JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidRequestError(f"{place} must be a JSON object, not {line.strip()[:80]!r}")
    return found


def name_in(content: Mapping[str, Any], key: str, place: str) -> str:
    """An id, which is a string, or a whole number as one."""
    found = content.get(key)
    if isinstance(found, bool) or not isinstance(found, (str, int)) or found == "":
        raise InvalidRequestError(f'{place} must have a string "{key}", not {found!r:.80}')
    return str(found)


def text_in(content: Mapping[str, Any], key: str, place: str) -> str | None:
    """A text; ``None`` where it is missing or ``null``."""
    found = content.get(key)
    if found is not None and not isinstance(found, str):
        raise InvalidRequestError(f'{place}: "{key}" must be a string, not {found!r:.80}')
    return found


def number_in(content: Mapping[str, Any], key: str, place: str) -> float | None:
    """A number; ``None`` where it is missing or ``null``."""
    found = content.get(key)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, (int, float)) or found != found:
        raise InvalidRequestError(f'{place}: "{key}" must be a number, not {found!r:.80}')
    return found
