"""Lines of recorded searches: a query, its candidates, and the rankers' orders of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resift.errors import InvalidRequestError
from resift.labelling.lines import name_in, number_in, objects, text_in


@dataclass(frozen=True, slots=True)
class Recorded:
    """A search: its query, texts by document, and what each ranker made of it."""

    place: str
    """Its ``file:number``, for errors."""
    query_id: str
    query: str | None
    texts: Mapping[str, str | None]
    rankings: Sequence[Sequence[str]]
    """Ids of documents, best first, for each ranker: the first stage, and a reranker if any."""


def read_recorded(paths: Sequence[Path]) -> Iterator[Recorded]:
    """All searches of these files. Raises ``InvalidRequestError`` for what isn't one."""
    for path in paths:
        for place, content in objects(path):
            yield _recorded(content, place)


def _recorded(content: Mapping[str, Any], place: str) -> Recorded:
    query_id, rows = name_in(content, "query_id", place), content.get("candidates")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InvalidRequestError(f'{place} must have a list of objects "candidates"')
    names = [name_in(row, "id", place) for row in rows]
    texts: dict[str, str | None] = {}
    for name, row in zip(names, rows, strict=True):
        text = text_in(row, "text", place)
        texts[name] = text if texts.get(name) is None else texts[name]
    rankings = [list(dict.fromkeys(names)), *_reranked(names, rows, place)]
    return Recorded(place, query_id, text_in(content, "query", place), texts, rankings)


def _reranked(
    names: Sequence[str], rows: Sequence[Mapping[str, Any]], place: str
) -> Iterator[list[str]]:
    """The reranker's order, by its ranks, or else by its scores; those it dropped have neither."""
    for key, sign in (("rank", 1), ("rank_score", -1)):
        values = [number_in(row, key, place) for row in rows]
        placed = [
            (sign * value, name)
            for value, name in zip(values, names, strict=True)
            if value is not None
        ]
        if placed:
            yield list(dict.fromkeys(name for _, name in sorted(placed, key=lambda each: each[0])))
            return
