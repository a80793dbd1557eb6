"""Collections from a BEIR folder, TREC's files, JSON lines, or a function."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from resift.errors import InvalidRequestError
from resift.files.collections import find_file, find_grades, find_run, read_run, read_texts
from resift.files.grades import read_grades
from resift.trials.collection import (
    Candidate,
    Collection,
    Document,
    appearances,
    sampled,
)
from resift.trials.recorded import WAYS, collection_of, corpus_of, note

FirstStage = Callable[[str], Iterable[tuple[str, str, float | None]]]
"""Takes a query's text; returns ids, texts and scores of documents, best first."""

DEPTH = 100


def read_collection(
    path: str | Path | None = None,
    *,
    run: str | Path | None = None,
    qrels: str | Path | None = None,
    topics: str | Path | None = None,
    documents: str | Path | None = None,
    first_stage: FirstStage | None = None,
    queries: int | None = None,
    depth: int = DEPTH,
    seed: int = 0,
) -> Collection:
    """Read a collection, and its first stage's candidates.

    ``path``: a BEIR folder (``corpus.jsonl``, ``queries.jsonl``, ``qrels/test.tsv`` or another
    split, ``run.*.txt``), or a file of JSON lines as a recorder writes them. Each file may end in
    ``.gz``. ``run``, ``qrels``, ``topics`` (queries' texts) and ``documents`` are files in place of
    the folder's: TREC's columns, or JSON lines. ``first_stage`` is a function that is asked in
    place of a run. ``queries``: a sample of so many, drawn with ``seed``; ``None`` takes all.
    ``depth``: the first so many candidates of each query.

    Where there are judgements, the queries are those that were judged. Raises
    ``InvalidRequestError`` for files that can't be read, and where there is no first stage.
    """
    given = None if path is None else Path(path)
    _check(given, depth, queries)
    grades = None if qrels is None else _by_query(Path(qrels))
    if given is not None and given.is_file():
        return collection_of(given, grades, documents, queries, depth, seed)
    files = _Files.of(given, run, qrels, topics, documents, with_run=first_stage is None)
    if grades is None and files.qrels is not None:
        grades = _by_query(files.qrels)
    texts = {name: each.whole for name, each in read_texts(files.topics)}
    asked = [each for each in texts if grades is None or each in grades]
    if not asked:
        raise InvalidRequestError(f"none of the queries of {files.topics} is judged")
    unknown = len((grades or {}).keys() - texts.keys())
    wanted = sampled(asked, queries or len(asked), seed)
    own = {each: texts[each] for each in wanted}
    judged = None if grades is None else {each: grades[each] for each in wanted}
    if first_stage is not None:
        found = _asked(files, own, judged, first_stage, depth)
        return replace(found, queries_without_text=unknown)
    assert files.run is not None
    listed, risen = read_run(files.run, depth)
    seen = appearances(listed)
    listed = {each: listed[each] for each in wanted if each in listed}
    read, corpus = corpus_of(files.documents, listed, judged)
    corpus = replace(corpus, appearances=seen)
    return Collection(
        name=files.name,
        queries=own,
        candidates=listed,
        documents=read,
        grades=judged,
        corpus=corpus,
        ranks_contradicted=risen,
        queries_without_text=unknown,
    )


def _check(path: Path | None, depth: int, queries: int | None) -> None:
    if path is not None and not path.exists():
        raise InvalidRequestError(f"{path} doesn't exist; expected a folder or JSON lines")
    if depth < 1 or (queries is not None and queries < 1):
        raise InvalidRequestError(f"depth and queries must be at least 1: {depth}, {queries}")


class _Files:
    """The files of a collection; ``run`` and ``qrels`` may be missing."""

    def __init__(self, name: str, topics: Path, documents: Path | None) -> None:
        self.name, self.topics, self.documents = name, topics, documents
        self.run: Path | None = None
        self.qrels: Path | None = None

    @classmethod
    def of(
        cls,
        folder: Path | None,
        run: str | Path | None,
        qrels: str | Path | None,
        topics: str | Path | None,
        documents: str | Path | None,
        *,
        with_run: bool,
    ) -> _Files:
        """Find what wasn't given in the folder."""
        texts = Path(topics) if topics else _one(folder, "queries.jsonl")
        corpus = Path(documents) if documents else _one(folder, "corpus.jsonl")
        if texts is None or (corpus is None and with_run):
            raise InvalidRequestError(
                f"{folder or 'TREC files'}: no texts of queries or documents; expected queries."
                "jsonl and corpus.jsonl in the folder, or --topics FILE and --documents FILE"
            )
        name = folder.resolve().name if folder else Path(run or texts).name
        files = cls(name, texts, corpus)
        files.qrels = Path(qrels) if qrels else folder and find_grades(folder)
        if with_run:
            files.run = Path(run) if run else _run(folder)
        return files


def _one(folder: Path | None, name: str) -> Path | None:
    return None if folder is None else find_file(folder, name)


def _run(folder: Path | None) -> Path:
    found = None if folder is None else find_run(folder)
    if found is None:
        raise InvalidRequestError(f"{folder or 'the files given'}: there is no run, and {WAYS}")
    return found


def _by_query(path: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (query, document), grade in read_grades(path).items():
        found.setdefault(query, {})[document] = grade
    return found


def _asked(
    files: _Files, texts: Mapping[str, str], grades: Any, first_stage: FirstStage, depth: int
) -> Collection:
    """The candidates of a function, asked one query after the other."""
    found: dict[str, list[Candidate]] = {}
    documents: dict[str, Document] = {}
    contradicted: dict[str, tuple[str, str]] = {}
    seconds = {}
    for query, text in texts.items():
        start = time.perf_counter()
        rows = list(first_stage(text))[:depth]
        seconds[query] = time.perf_counter() - start
        found[query] = []
        for row in rows:
            if not isinstance(row, Sequence) or len(row) != 3 or not isinstance(row[1], str):
                raise InvalidRequestError(
                    f"the first stage must give (id, text, score) of each document: {row!r:.80}"
                )
            name, own, score = str(row[0]), row[1], row[2]
            found[query].append(Candidate(name, None if score is None else float(score)))
            note(documents, contradicted, name, Document(own))
    read, corpus = corpus_of(files.documents, found, grades)
    for name, document in read.items():
        if name not in documents:
            documents[name] = document
        else:
            note(documents, contradicted, name, document)
    return Collection(
        name=files.name,
        queries=texts,
        candidates=found,
        documents=documents,
        grades=grades,
        corpus=replace(corpus, appearances=appearances(found)),
        texts_contradicted=contradicted,
        seconds=seconds,
    )
