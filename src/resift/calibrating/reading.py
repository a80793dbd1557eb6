"""Queries with their candidates and judgements, from the files that people have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from resift.errors import InvalidRequestError
from resift.files.collections import Candidate, find_file, find_run, read_run, read_texts
from resift.files.grades import Key
from resift.files.recorded import Recorded, RecordedDocument

Grades = Mapping[Key, int]


def read_folder(folder: Path, run: Path | None, grades: Grades, depth: int) -> list[Recorded]:
    """Read a collection as BEIR has it: ``corpus.jsonl``, ``queries.jsonl``.

    Candidates are the first ``depth`` of a run in TREC's format: ``run``, or the only one in the
    folder. Without any, they are the documents that were judged.
    """
    run = run or find_run(folder)
    found = _judged(grades) if run is None else read_run(run, depth)[0]
    judged = {query for query, _ in grades}
    found = {query: listed for query, listed in found.items() if query in judged}
    wanted = dict.fromkeys(each.id for listed in found.values() for each in listed)
    texts = _texts(folder, "corpus.jsonl", wanted)
    queries = _texts(folder, "queries.jsonl", found)
    return [
        Recorded(
            query_id=query,
            query=queries[query],
            candidates=tuple(
                RecordedDocument(id=each.id, text=texts[each.id], score=each.score)
                for each in listed
            ),
        )
        for query, listed in found.items()
    ]


def _judged(grades: Grades) -> dict[str, list[Candidate]]:
    found: dict[str, list[Candidate]] = {}
    for query, document in sorted(grades):
        found.setdefault(query, []).append(Candidate(document))
    return found


def _texts(folder: Path, name: str, wanted: Collection[str]) -> dict[str, str]:
    """The texts that are wanted, by id."""
    path = find_file(folder, name) or folder / name
    found = {key: each.whole for key, each in read_texts(path) if key in wanted}
    missing = next((each for each in wanted if each not in found), None)
    if missing is not None:
        raise InvalidRequestError(f"{path} has no {missing!r}; expected all that are named")
    return found


def graded(searched: Iterable[Recorded], grades: Grades) -> list[Recorded]:
    """The same, with these grades; a candidate without one keeps its own."""
    return [
        replace(
            each,
            candidates=tuple(
                replace(c, grade=grades.get((each.query_id, c.id), c.grade))
                for c in each.candidates
            ),
        )
        for each in searched
    ]
