"""Texts made fit to be shown: nothing in them acts, and the query's words are marked."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

Part = tuple[str, bool]
"""A piece of a text, and whether it is a word of the query."""

# Joiners shape letters of Persian and Indic scripts, and emoji.
_JOINERS = "\u200c\u200d"
# Han, kana, Thai and their like, whose words have no spaces between them.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\U00020000-\U0003ffff]+"
)
_MEANINGFUL = 3


def escaped(text: str) -> str:
    r"""``text`` with control characters as escapes, such as ``\x1b``; line ends and tabs stay."""
    lines = "\n".join(re.split("\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]", text))
    return "".join(map(_shown, lines))


def _shown(each: str) -> str:
    if each.isprintable() or each in "\n\t" or each in _JOINERS:
        return each
    if unicodedata.category(each) == "Zs":
        return " "
    return each.encode("unicode_escape").decode("ascii")


def marked(text: str, query: str) -> list[Part]:
    """The pieces of an escaped text; words of ``query`` are marked, but for the very short."""
    words: set[str] = set()
    for word in re.findall(r"\w+", query):
        if _UNSPACED.search(word):
            # Each character of two neighbours: matches of pairs couldn't overlap.
            words |= {f"{one}(?={two})|(?<={one}){two}" for one, two in pairwise(word)} or {word}
        elif len(word) >= _MEANINGFUL or not word.isascii() or any(map(str.isdigit, word)):
            words.add(rf"\b{re.escape(word)}\b")
    if not words:
        return [(text, False)] if text else []
    # In a group, what is found stands at the odd places.
    found = re.split(f"((?:{'|'.join(sorted(words, key=len, reverse=True))})+)", text, flags=re.I)
    return [(each, at % 2 == 1) for at, each in enumerate(found) if each]


def wrapped(text: str, width: int) -> Iterator[str]:
    """Lines of at most ``width`` columns, broken at spaces where there are any."""
    for line in text.expandtabs(4).split("\n"):
        rest = line
        while True:
            fits = _fitting(rest, width)
            if fits == len(rest):
                yield rest
                break
            space = rest.rfind(" ", 1, fits + 1)
            end = space if space > 0 else fits
            yield rest[:end].rstrip(" ")
            rest = rest[end:].lstrip(" ")


def _fitting(text: str, width: int) -> int:
    """Count the characters of a line that fit; at least one does."""
    columns = 0
    for at, each in enumerate(text):
        columns += _columns(each)
        if columns > width:
            return max(at, 1)
    return len(text)


def _columns(each: str) -> int:
    if unicodedata.combining(each) or each in _JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(each) in "WF" else 1
