"""The pairs that an export is measured on. All texts were written for this file."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from resift.errors import InvalidRequestError


@dataclass(frozen=True, slots=True)
class Group:
    """A query and its documents."""

    query: str
    documents: tuple[str, ...]
    grades: tuple[float, ...] | None = None
    """The relevance of each document, from 0 for none."""


_DESCALE = (
    "Fill the kettle with equal parts of water and vinegar, boil it, and rinse it twice after "
    "half an hour."
)
_KETTLES = "Our kettles come in red, cream and brushed steel, and are delivered within three days."
_FERRY = "The first ferry leaves at twenty past six if the tide is high enough."
_TICKETS = "Tickets for the ferry are sold at the kiosk beside the pier until nine in the evening."
_LIGHTHOUSE = "Marta Lind paints the lighthouse every May, with a brush tied to a broom handle."
_SORT = "Pass a function as key to sorted, and it compares what the function returns."
_BREAD = "Bread rises because yeast eats sugar and breathes out gas that the dough holds in."
_SOURDOUGH = "Feed a sourdough starter with flour and water once a day, and keep it out of the sun."
_FROST = "Cover young tomato plants with fleece when frost is forecast, and water them by noon."
_TAX = "The return is due on the last day of July; late returns cost twenty-five euros a month."
_BICYCLE = "If the chain slips under load, the chain and the sprockets are worn and go together."
_FEVER = "A fever above thirty-nine degrees that lasts three days is a reason to see a doctor."
_HARBOUR = (
    "The harbour office opens at six in the morning, and the first ferry leaves twenty minutes "
    "later when the tide allows it. "
)
_DOCUMENTS = (
    _DESCALE,
    _KETTLES,
    _FERRY,
    _TICKETS,
    _LIGHTHOUSE,
    _SORT,
    _BREAD,
    _SOURDOUGH,
    _FROST,
    _TAX,
    _BICYCLE,
    _FEVER,
)
# Besides documents of one sentence, lengths at which exports go wrong: 0 words, 1, many, too many.
_LENGTHS = ("", "ferry", _HARBOUR * 4, _HARBOUR * 60)
_QUERIES = (
    "how do I descale a kettle",
    "when does the first ferry leave",
    "who paints the lighthouse",
    "python sort a list by a computed value",
    "why does dough rise",
    "protect tomatoes from cold nights",
    "deadline for the tax return",
    "chain jumps when I pedal hard",
)

GOLDEN: tuple[tuple[str, str], ...] = (
    (_QUERIES[0], _DESCALE),
    (_QUERIES[0], _KETTLES),
    (_QUERIES[1], _FERRY),
    (_QUERIES[1], _TAX),
    (_QUERIES[4], _BREAD),
    (_QUERIES[3], ""),
)


def built_in() -> list[Group]:
    """The built-in set: eight English queries with the same documents, two also with long ones."""
    return [
        Group(query, _DOCUMENTS + (_LENGTHS if number < 2 else ()))
        for number, query in enumerate(_QUERIES)
    ]


def read_groups(path: Path) -> list[Group]:
    """Read a file of JSON lines. Raises ``InvalidRequestError`` naming the first invalid line."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequestError(f"the calibration file can't be read: {error}") from error
    groups = [
        _read_group(line, f"{path}:{number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not groups:
        raise InvalidRequestError(f"{path} has no lines; expected queries with documents")
    return groups


def _read_group(line: str, place: str) -> Group:
    expected = (
        f'{place} must be JSON: {{"query": str, "documents": [str, …]}}, and "grades", where '
        "given, one number from 0 up for each document"
    )
    try:
        content = json.loads(line)
        query, documents = content["query"], tuple(content["documents"])
        grades = content.get("grades")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequestError(expected) from error
    texts = (query, *documents)
    if not documents or not query or not all(isinstance(text, str) for text in texts):
        raise InvalidRequestError(expected)
    if isinstance(content["documents"], str):
        raise InvalidRequestError(expected)
    if grades is None:
        return Group(query, documents)
    try:
        numbers = tuple(float(grade) for grade in grades)
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(expected) from error
    if len(numbers) != len(documents) or not all(0 <= each < math.inf for each in numbers):
        raise InvalidRequestError(expected)
    return Group(query, documents, numbers)
