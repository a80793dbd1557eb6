"""Recorded queries: what a first stage found for each, and what a ranker made of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from resift.files.lines import Line, json_lines


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedDocument:
    """A document that the first stage found for a query; ``None`` for what wasn't recorded."""

    id: str
    text: str | None = None
    score: float | None = None
    """The first stage's."""
    rank: float | None = None
    """Its place in the ranker's order, from 1."""
    rank_score: float | None = None
    """The ranker's score."""
    logit: float | None = None
    """The ranker's logit."""
    grade: int | None = None
    """How relevant it is; ``None`` where nobody judged it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """A query and its candidates, in the first stage's order."""

    query_id: str
    query: str | None
    candidates: tuple[RecordedDocument, ...]
    model: str | None = None
    """The name of the ranker's model."""
    place: str = ""
    """Its ``file:number``, for errors."""


def read_recorded(path: Path) -> Iterator[Recorded]:
    """Read recorded queries: lines of JSON, each with ``query_id`` and ``candidates``.

    Raises ``InvalidRequestError`` for a file that can't be read, and a line that isn't one.
    """
    return map(_recorded, json_lines(path))


def _recorded(line: Line) -> Recorded:
    return Recorded(
        query_id=line.name("query_id"),
        query=line.optional_text("query"),
        candidates=tuple(map(_document, line.objects("candidates"))),
        model=line.optional_text("model"),
        place=line.place,
    )


def _document(line: Line) -> RecordedDocument:
    return RecordedDocument(
        id=line.name("id"),
        text=line.optional_text("text"),
        score=line.optional_number("score"),
        rank=line.optional_number("rank"),
        rank_score=line.optional_number("rank_score"),
        logit=line.optional_number("logit"),
        grade=line.optional_int("grade"),
    )
