"""Test collections in the BEIR layout, one archive each, with a first stage's run."""

import json
import random
import tarfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
    with tarfile.open(archive) as tar:
        members = {Path(member.name).name: member for member in tar if member.isfile()}

        def lines(name: str) -> list[str]:
            file = tar.extractfile(members[name])
            assert file is not None
            return file.read().decode("utf-8").splitlines()

        corpus = [json.loads(line) for line in lines("corpus.jsonl")]
        queries = [json.loads(line) for line in lines("queries.jsonl")]
        judged = [line.split("\t") for line in lines("test.tsv")[1:]]
        ranked = [line.split() for line in lines("run.bm25.txt")]
    grades: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for query, document, grade in judged:
        grades[query][document] = int(grade)
    run: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for query, _, document, _, score, _ in ranked:
        run[query][document] = float(score)
    return Collection(
        archive.name.removesuffix(".tar.gz"),
        {line["_id"]: f"{line.get('title', '')} {line['text']}".strip() for line in corpus},
        {line["_id"]: line["text"] for line in queries if line["_id"] in grades},
        dict(grades),
        dict(run),
        sha256(archive),
    )
