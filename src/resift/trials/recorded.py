"""Recorded lines as a collection, and the documents that a collection needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from resift.errors import InvalidRequestError
from resift.files.collections import read_texts
from resift.files.lines import is_json
from resift.files.recorded import read_recorded
from resift.trials.collection import Candidate, Collection, Corpus, Document, appearances

WAYS = (
    "reranking needs a first stage's results: put a TREC run, run.NAME.txt, into the folder, or "
    "give --run FILE, --first-stage MODULE:FUNCTION, or JSON lines with candidates"
)


def corpus_of(
    path: Path | None, found: Mapping[str, Sequence[Candidate]], grades: Any
) -> tuple[dict[str, Document], Corpus]:
    """The documents that matter, and the ids of all; the file is read once, line by line."""
    wanted = {each.id for listed in found.values() for each in listed}
    for judged in (grades or {}).values():
        wanted |= {name for name, grade in judged.items() if grade > 0}
    if path is None:
        return {}, Corpus(sorted(wanted), whole=False)
    documents, ids = {}, []
    for name, document in read_texts(path):
        ids.append(name)
        if name in wanted:
            documents[name] = document
    return documents, Corpus(ids, whole=True)


def note(
    documents: dict[str, Document],
    contradicted: dict[str, tuple[str, str]],
    name: str,
    document: Document,
) -> None:
    """Keep a document's first text, and the first other one that it is given."""
    known = documents.setdefault(name, document)
    if document.whole.strip() not in (known.whole.strip(), known.text.strip()):
        first, second = sorted((known.whole.strip(), document.whole.strip()), key=len)
        contradicted.setdefault(name, (first, second))


def collection_of(
    path: Path, grades: Any, corpus: Any, queries: int | None, depth: int, seed: int
) -> Collection:
    """Recorded lines: a query with its candidates on each, and grades where they were judged."""
    if not is_json(path):
        raise InvalidRequestError(
            f"{path} must be JSON lines, *.jsonl; give a TREC run as --run, with --topics and "
            "--documents"
        )
    texts: dict[str, str] = {}
    found: dict[str, list[Candidate]] = {}
    documents: dict[str, Document] = {}
    contradicted: dict[str, tuple[str, str]] = {}
    own: dict[str, dict[str, int]] = {}
    for each in read_recorded(path):
        if each.query is None:
            raise InvalidRequestError(
                f"{each.place} has no text of the query: it was recorded without, and can't be "
                "ranked again. Record texts too"
            )
        query = each.query_id
        if texts.get(query) == each.query:
            continue
        name = query if query not in texts else f"{query}#{each.place.rpartition(':')[2]}"
        texts[name], found[name] = each.query, []
        for row in each.candidates[:depth]:
            found[name].append(Candidate(row.id, row.score))
            if row.text is not None:
                note(documents, contradicted, row.id, Document(row.text))
            if row.grade is not None:
                own.setdefault(name, {})[row.id] = row.grade
    if not any(found.values()):
        raise InvalidRequestError(f"{path} has no candidates, and {WAYS}")
    judged = grades if grades is not None else own or None
    if corpus is not None:
        documents = {**corpus_of(Path(corpus), found, judged)[0], **documents}
    if judged is not None:
        texts = {each: text for each, text in texts.items() if each in judged}
        judged = {each: judged[each] for each in texts}
    ids = dict.fromkeys(each.id for listed in found.values() for each in listed)
    read = Collection(
        name=path.name.partition(".")[0],
        queries=texts,
        candidates={each: found[each] for each in texts},
        documents=documents,
        grades=judged,
        corpus=Corpus(list(ids), whole=False, appearances=appearances(found)),
        texts_contradicted=contradicted,
    )
    return read.sample(queries, seed)
