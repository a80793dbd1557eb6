"""Files of collections, line by line: runs, judgements, queries and documents, plain or ``.gz``."""

from __future__ import annotations

import gzip
import json
import math
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from resift.errors import InvalidRequestError
from resift.trials.collection import Candidate, Document

# The names that a document's id, and its text, go by in JSON lines.
_IDS = ("_id", "id", "docid", "doc_id", "document_id", "query_id", "qid")
_TEXTS = ("text", "contents", "content", "body", "query")


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a text that aren't blank, each with its place, ``file:number``.

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


def is_json(path: Path) -> bool:
    """Whether the name says JSON lines."""
    return path.name.removesuffix(".gz").endswith((".jsonl", ".ndjson", ".json"))


def read_object(line: str, place: str) -> dict[str, Any]:
    """A line as a JSON object. Raises ``InvalidRequestError`` for anything else."""
    try:
        found = json.loads(line)
    except ValueError as error:
        raise InvalidRequestError(f"{place} isn't JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidRequestError(f"{place} must be a JSON object, not {line[:80]!r}")
    return found


def read_texts(path: Path) -> Iterator[tuple[str, Document]]:
    """Ids and texts of queries or documents: JSON lines, or an id, a tab and a text."""
    for place, line in lines(path):
        if is_json(path):
            content = read_object(line, place)
            name = next((content[each] for each in _IDS if content.get(each) is not None), None)
            text = next((content[each] for each in _TEXTS if content.get(each) is not None), "")
            title = content.get("title") or ""
            if name is None or not isinstance(text, str) or not isinstance(title, str):
                raise InvalidRequestError(
                    f'{place} must have an "_id" and a string "text": {line[:80]!r}'
                )
            yield str(name), Document(text, title)
        else:
            name, tab, text = line.partition("\t")
            if not tab:
                raise InvalidRequestError(
                    f"{place} must be an id, a tab and a text, not {line[:80]!r}"
                )
            yield name, Document(text)


def read_grades(path: Path) -> dict[str, dict[str, int]]:
    """Judgements: TREC's four columns, BEIR's three with a header, or JSON lines of labels."""
    grades: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for place, line in lines(path):
        if is_json(path):
            content = read_object(line, place)
            row = [content.get(each) for each in ("query_id", "document_id", "grade")]
        else:
            columns = line.split("\t") if "\t" in line else _columns(line)
            row = [columns[0], *columns[2:]] if len(columns) == 4 else list(columns)
        if len(row) != 3 or None in row:
            raise InvalidRequestError(
                f"{place} must have a query's id, a document's id and a grade: {line[:80]!r}"
            )
        try:
            grades[str(row[0]).strip()][str(row[1]).strip()] = _whole(str(row[2]))
        except ValueError:
            # A header names the columns.
            if grades or not place.endswith(":1"):
                raise InvalidRequestError(
                    f"{place} has the grade {row[2]!r}, expected a whole number"
                ) from None
    if not grades:
        raise InvalidRequestError(f"{path} has no judgements")
    return dict(grades)


def _columns(line: str) -> list[str]:
    """The columns between spaces and tabs; ids may have whitespace of other kinds."""
    return [each for each in re.split("[ \t]+", line) if each]


def _whole(text: str) -> int:
    value = float(text)
    if not value.is_integer():
        raise ValueError(text)
    return int(value)


def read_run(path: Path, depth: int) -> tuple[dict[str, list[Candidate]], int]:
    """The first ``depth`` of each query of TREC's six columns; and contradicted ranks.

    The order is that of the scores, as it is to trec_eval; equal scores keep that of the ranks. The
    second value counts the neighbours by rank whose scores rise.
    """
    rows: defaultdict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for place, line in lines(path):
        columns = _columns(line)
        try:
            query, _, document, rank, score, *_ = columns
            rows[query].append((-float(score), float(rank), document))
        except ValueError:
            raise InvalidRequestError(
                f"{place} must be a query's id, Q0, a document's id, a rank, a score and a name: "
                f"{line[:80]!r}"
            ) from None
    risen = 0
    found = {}
    for query, listed in rows.items():
        by_rank = sorted(listed, key=lambda row: row[1])
        for first, second in pairwise(by_rank):
            risen += second[0] < first[0]
        best = sorted(by_rank, key=lambda row: row[0] if math.isfinite(row[0]) else math.inf)
        found[query] = [Candidate(name, -score) for score, _, name in best[:depth]]
    return found, risen
