"""Test collections in the BEIR layout, one archive each, with a first stage's run."""

import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resift.files.collections import read_run, read_texts
from resift.files.grades import read_grades
from resift.models.store.manifest import sha256

SEED = 0


@dataclass(frozen=True)
class Collection:
    """One test collection.

    documents: texts by id, each its title, a space and its text; queries: texts by id, the judged
    ones alone.
    grades: relevance by query and document.
    run: the first stage's scores by query and document, best first. A query may be missing.
    sha256: of the archive.
    """

    name: str
    documents: dict[str, str]
    queries: dict[str, str]
    grades: dict[str, dict[str, int]]
    run: dict[str, dict[str, float]]
    sha256: str

    def sample(self, count: int | None) -> list[str]:
        """Ids of all queries, or of `count` drawn with a fixed seed."""
        queries = list(self.queries)
        if count is None or count >= len(queries):
            return queries
        return random.Random(SEED).sample(queries, count)

    def candidates(self, query: str) -> list[str]:
        """Ids of the documents that the first stage found, best first."""
        return list(self.run.get(query, {}))

    def grades_of(self, query: str, documents: Sequence[str]) -> list[int]:
        """The documents' grades for a query, in their order; 0 for those that nobody judged."""
        return [self.grades[query].get(document, 0) for document in documents]

    def judged(self, query: str) -> list[int]:
        """Grades of all documents that were judged for a query."""
        return list(self.grades[query].values())

    def texts(self, query: str) -> list[str]:
        """Texts of `candidates(query)`."""
        return [self.documents[document] for document in self.candidates(query)]


def read(archive: Path) -> Collection:
    """Read a `.tar.gz` of `corpus.jsonl`, `queries.jsonl`, `qrels/test.tsv` and `run.bm25.txt`."""
    with tempfile.TemporaryDirectory() as unpacked:
        shutil.unpack_archive(archive, unpacked, filter="data")
        (corpus,) = Path(unpacked).rglob("corpus.jsonl")
        folder = corpus.parent
        grades: dict[str, dict[str, int]] = {}
        for (query, document), grade in read_grades(folder / "qrels/test.tsv").items():
            grades.setdefault(query, {})[document] = grade
        found, _ = read_run(folder / "run.bm25.txt", sys.maxsize)
        return Collection(
            archive.name.removesuffix(".tar.gz"),
            {name: each.whole.strip() for name, each in read_texts(corpus)},
            {
                name: each.whole
                for name, each in read_texts(folder / "queries.jsonl")
                if name in grades
            },
            grades,
            {query: {each.id: each.score or 0.0 for each in own} for query, own in found.items()},
            sha256(archive),
        )
