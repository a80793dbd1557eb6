"""The lines of a TOML document's keys, which ``tomllib`` doesn't tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

Place = tuple[str | int, ...]
"""The keys that lead to a value; an ``int`` for an element of an array of tables."""

_BASIC, _LITERAL = r'"(?:\\.|[^"\\\n])*"', r"'[^'\n]*'"
_PART = rf"(?:{_BASIC}|{_LITERAL}|[\w-]+)"
_PARTS = re.compile(_PART)
_KEY = re.compile(rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*")
_BRACKETS = re.compile(r"\[*[ \t]*")
_COMMENT = re.compile(r"#[^\n]*")
_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
# A multi-line string may end with up to two quotes more, which are its own.
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})' rf"|'''.*?'''(?:'{{0,2}})|{_BASIC}|{_LITERAL}", re.DOTALL
)


def lines_of(text: str) -> Mapping[Place, int]:
    """The line, from 1, on which each table and key of a valid document is first named.

    What is within an inline table or an array isn't listed.
    """
    found: dict[Place, int] = {}
    elements: dict[Place, int] = {}
    table: Place = ()
    at = _after(_BLANK, text, 0)
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        brackets = _after(_BRACKETS, text, at)
        is_header, is_array = text[at] == "[", text.startswith("[[", at)
        end = _after(_KEY, text, brackets)
        keys = [_plain(part) for part in _PARTS.findall(text[brackets:end])]
        place: Place = () if is_header else table
        for index, key in enumerate(keys):
            place = (*place, key)
            found.setdefault(place, line)
            if is_array and index == len(keys) - 1:
                elements[place] = elements.get(place, -1) + 1
            if is_header and place in elements:
                place = (*place, elements[place])
                found.setdefault(place, line)
        table = place if is_header else table
        end = text.find("\n", end) if is_header else _end_of_value(text, end)
        at = len(text) if end < 0 else _after(_BLANK, text, end)
    return found


def _end_of_value(text: str, at: int) -> int:
    """The end of the value that begins after ``at``, with all of its lines; -1 for the text's."""
    depth = 0
    while at < len(text):
        string = _STRING.match(text, at)
        if string:
            at = string.end()
        elif text[at] == "#":
            at = _after(_COMMENT, text, at)
        elif text[at] == "\n" and not depth:
            return at
        else:
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(text[at], 0)
            at += 1
    return -1


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _plain(part: str) -> str:
    """The name that a part of a key stands for, which may be quoted."""
    (name,) = tomllib.loads(f"{part} = 0")
    return name
