"""Queries with their candidates and judgements, from the files that people have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from resift.calibrating.lines import Line, read_lines
from resift.errors import InvalidRequestError

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A document that the first stage found for a query."""

    id: str
    text: str | None = None
    score: float | None = None
    """The first stage's."""
    logit: float | None = None
    """The model's, where it was recorded."""
    grade: int | None = None
    """How relevant it is; ``None`` where nobody judged it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Searched:
    """A query and its candidates, in the first stage's order."""

    id: str
    query: str | None
    candidates: tuple[Candidate, ...]
    model: str | None = None
    """The name of the model that gave the recorded logits."""


Grades = Mapping[tuple[str, str], int]
"""The grades of documents, by the ids of query and document."""


def read_searched(path: Path) -> list[Searched]:
    """Read recorded queries: lines of JSON, each with ``query_id`` and ``candidates``."""
    return [_searched(line) for line in read_lines(path)]


def _searched(line: Line) -> Searched:
    return Searched(
        id=line.text("query_id"),
        query=line.optional_text("query"),
        model=line.optional_text("model"),
        candidates=tuple(
            Candidate(
                id=each.text("id"),
                text=each.optional_text("text"),
                score=each.optional_number("score"),
                logit=each.optional_number("logit"),
                grade=each.optional_int("grade"),
            )
            for each in line.objects("candidates")
        ),
    )


def read_folder(folder: Path, run: Path | None, grades: Grades, depth: int) -> list[Searched]:
    """Read a collection as BEIR has it: ``corpus.jsonl``, ``queries.jsonl``.

    Candidates are the first ``depth`` of a run in TREC's format: ``run``, or the only ``run.*.txt``
    in the folder. Without any, they are the documents that were judged.
    """
    runs = sorted(folder.glob("run.*.txt"))
    if run is None and len(runs) > 1:
        names = [each.name for each in runs]
        raise InvalidRequestError(f"{folder} has several runs: {names}; give one as --run")
    run = run or (runs[0] if runs else None)
    found = _of_grades(grades) if run is None else _of_run(run, depth)
    wanted = {each for ids in found.values() for each, _ in ids}
    texts = {
        line.text("_id"): _joined(line)
        for line in read_lines(folder / "corpus.jsonl")
        if line.text("_id") in wanted
    }
    queries = {line.text("_id"): line.text("text") for line in read_lines(folder / "queries.jsonl")}
    return [
        Searched(
            id=query,
            query=_known(queries, query, f"{folder}/queries.jsonl has no query"),
            candidates=tuple(
                Candidate(
                    id=each,
                    text=_known(texts, each, f"{folder}/corpus.jsonl has no document"),
                    score=score,
                )
                for each, score in ids
            ),
        )
        for query, ids in found.items()
        if run is None or any(key[0] == query for key in grades)
    ]


def _joined(line: Line) -> str:
    title, text = line.optional_text("title"), line.text("text")
    # As resift evaluate has it: a text's logit depends on what stands between.
    return f"{title} {text}".strip() if title else text


def _of_grades(grades: Grades) -> dict[str, list[tuple[str, float | None]]]:
    found: dict[str, list[tuple[str, float | None]]] = {}
    for query, document in sorted(grades):
        found.setdefault(query, []).append((document, None))
    return found


def _of_run(path: Path, depth: int) -> dict[str, list[tuple[str, float | None]]]:
    """The first documents of each query of a run, by rank."""
    found: dict[str, list[tuple[int, str, float]]] = {}
    for where, parts in _columns(path, (6,)):
        rank, score = _number(where, parts[3], int), _number(where, parts[4], float)
        found.setdefault(parts[0], []).append((rank, parts[2], score))
    return {
        query: [(document, score) for _, document, score in sorted(each)[:depth]]
        for query, each in found.items()
    }


def read_qrels(path: Path) -> dict[tuple[str, str], int]:
    """Read grades as TREC has them (query, 0, document, grade) or BEIR (a head, three columns)."""
    found = {}
    for at, (where, parts) in enumerate(_columns(path, (3, 4))):
        if at == 0 and len(parts) == 3 and parts[0] == "query-id":
            continue
        found[parts[0], parts[-2]] = _number(where, parts[-1], int)
    return found


def read_labels(path: Path) -> dict[tuple[str, str], int]:
    """Read grades as lines of JSON: ``query_id``, ``document_id``, ``grade``; the last one counts.

    A grade that is null takes an earlier one back.
    """
    found: dict[tuple[str, str], int] = {}
    for line in read_lines(path):
        key, grade = (line.text("query_id"), line.text("document_id")), line.optional_int("grade")
        found.pop(key, None)
        if grade is not None:
            found[key] = grade
    return found


def graded(searched: Iterable[Searched], grades: Grades) -> list[Searched]:
    """The same, with these grades; a candidate without one keeps its own."""
    return [
        replace(
            each,
            candidates=tuple(
                replace(c, grade=grades.get((each.id, c.id), c.grade)) for c in each.candidates
            ),
        )
        for each in searched
    ]


def _columns(path: Path, counts: Sequence[int]) -> Iterator[tuple[str, list[str]]]:
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            parts = text.split()
            if not parts:
                continue
            where = f"{path}:{number}"
            if len(parts) not in counts:
                expected = " or ".join(map(str, counts))
                raise InvalidRequestError(f"{where}: expected {expected} columns, not {len(parts)}")
            yield where, parts


def _number(where: str, text: str, kind: Callable[[str], _T]) -> _T:
    try:
        return kind(text)
    except ValueError as error:
        raise InvalidRequestError(f"{where}: {text[:40]!r} must be a number") from error


def _known(texts: Mapping[str, str], key: str, otherwise: str) -> str:
    if key not in texts:
        raise InvalidRequestError(f"{otherwise} {key!r}; expected all that are named")
    return texts[key]
