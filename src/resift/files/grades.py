"""Judgements: labels as JSON lines, and TREC's and BEIR's columns."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from resift.errors import InvalidRequestError
from resift.files.lines import Line, columns_of, is_json, json_lines, text_lines

Key = tuple[str, str]
"""The ids of a query and a document."""


@dataclass(frozen=True, slots=True)
class Label:
    """A judgement: how well a document answers a query."""

    query_id: str
    document_id: str
    grade: int
    by: str | None = None
    at: str | None = None
    """Its time, as ISO 8601."""

    @property
    def key(self) -> Key:
        """The ids of both."""
        return self.query_id, self.document_id

    def line(self) -> bytes:
        """The line of it, ASCII alone, so that no reader depends on an encoding."""
        return f"{json.dumps(asdict(self))}\n".encode("ascii")


Judged = tuple[Key, Label | None]
"""A pair and its label; there is none where the grade is null, which takes an earlier one back."""


def label_of(line: Line) -> Judged:
    """The label of a line. Raises ``InvalidRequestError`` for a line without a grade."""
    if "grade" not in line.values:
        raise line.error("grade", "a whole number")
    key, grade = (line.name("query_id"), line.name("document_id")), line.optional_int("grade")
    by, at = line.optional_text("by"), line.optional_text("at")
    return key, None if grade is None else Label(*key, grade, by, at)


def last_of(given: Iterable[Judged]) -> dict[Key, Label]:
    """The labels by pair, in the order in which they were given; the last of a pair counts."""
    found: dict[Key, Label] = {}
    for key, label in given:
        found.pop(key, None)
        if label is not None:
            found[key] = label
    return found


def read_labels(path: Path) -> dict[Key, Label]:
    """The labels of a file, by pair; the last of a pair counts."""
    return last_of(map(label_of, json_lines(path)))


def read_grades(path: Path) -> dict[Key, int]:
    """Judgements: TREC's four columns, BEIR's three with a header, or JSON lines of labels.

    Raises ``InvalidRequestError`` for what is neither, and for a file without any.
    """
    if is_json(path):
        found = {key: label.grade for key, label in read_labels(path).items()}
    else:
        found = _read_columns(path)
    if not found:
        raise InvalidRequestError(f"{path} has no judgements")
    return found


def _read_columns(path: Path) -> dict[Key, int]:
    found: dict[Key, int] = {}
    for place, line in text_lines(path):
        # Ids with spaces are between tabs.
        columns = line.split("\t")
        if len(columns) not in (3, 4):
            columns = columns_of(line)
        if len(columns) not in (3, 4):
            raise InvalidRequestError(
                f"{place} must have a query's id, a document's id and a grade, in 3 or 4 columns: "
                f"{line[:80]!r}"
            )
        query, document, grade = (columns[at].strip(" ") for at in (0, -2, -1))
        try:
            number = float(grade)
        except ValueError:
            number = 0.5
        if number.is_integer():
            found[query, document] = int(number)
        # A header names the columns.
        elif len(columns) == 4 or not place.endswith(":1"):
            raise InvalidRequestError(f"{place} has the grade {grade!r}, expected a whole number")
    return found
