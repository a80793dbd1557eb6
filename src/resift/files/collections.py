"""The files of a collection, as BEIR and TREC have them: texts, runs, and where they are."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from resift.errors import InvalidRequestError
from resift.files.lines import columns_of, is_json, json_line, text_lines

# The names that a document's id, and its text, go by in JSON lines.
_IDS = ("_id", "id", "docid", "doc_id", "document_id", "query_id", "qid")
_TEXTS = ("text", "contents", "content", "body", "query")
_SPLITS = ("test", "dev", "validation", "train")
_RUNS = ("run*.txt", "run*.txt.gz", "run*.trec", "run*.trec.gz")


@dataclass(frozen=True, slots=True)
class Document:
    """A document's text, by fields as they were given."""

    text: str
    title: str = ""

    @property
    def whole(self) -> str:
        """The text that is reranked: title and text, with a space between them."""
        return f"{self.title} {self.text}".strip() if self.title else self.text


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that the first stage found."""

    id: str
    score: float | None = None
    """The first stage's; ``None`` where it gives none."""


def read_texts(path: Path) -> Iterator[tuple[str, Document]]:
    """Ids and texts of queries or documents: JSON lines, or an id, a tab and a text."""
    for place, line in text_lines(path):
        if is_json(path):
            content = json_line(line, place).values
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


def read_run(path: Path, depth: int) -> tuple[dict[str, list[Candidate]], int]:
    """The first ``depth`` of each query of TREC's six columns; and contradicted ranks.

    The order is that of the scores, as it is to trec_eval; equal scores keep that of the ranks. The
    second value counts the neighbours by rank whose scores rise.
    """
    rows: defaultdict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for place, line in text_lines(path):
        columns = columns_of(line)
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


def find_file(folder: Path, name: str) -> Path | None:
    """A file of a folder, or the same with ``.gz``; ``None`` where there is neither."""
    return next((each for each in (folder / name, folder / f"{name}.gz") if each.exists()), None)


def find_grades(folder: Path) -> Path | None:
    """The judgements of a folder, of the first split that it has; ``None`` without any."""
    names = [f"{where}{split}.tsv" for where in ("qrels/", "") for split in _SPLITS]
    found = (find_file(folder, name) for name in (*names, "qrels.txt", "labels.jsonl"))
    return next(filter(None, found), None)


def find_run(folder: Path) -> Path | None:
    """The run of a folder; ``None`` without any. Raises ``InvalidRequestError`` for several."""
    found = sorted({each for pattern in _RUNS for each in folder.glob(pattern)})
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise InvalidRequestError(f"{folder} has several runs: {names}; choose one by --run")
    return found[0] if found else None
