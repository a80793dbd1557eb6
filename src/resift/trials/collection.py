"""Collections: queries, the first stage's candidates for each, and judgements of them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from resift.files.collections import Candidate, Document

__all__ = ["Candidate", "Collection", "Corpus", "Document", "Grades", "appearances", "sampled"]

Grades = Mapping[str, Mapping[str, int]]
"""Grades by query id and document id: 0 or less for not relevant."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """All documents, as far as they are known beyond those that are reranked."""

    ids: Sequence[str]
    """All ids, in the corpus's order; those that were found, where there is no corpus."""
    whole: bool
    """Whether these are all documents that there are."""
    appearances: Mapping[str, int] = field(default_factory=dict)
    """How many queries each document was found for; of all queries, whatever sample is taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Collection:
    """Queries, with the first stage's candidates and, where there are any, judgements."""

    name: str
    queries: Mapping[str, str]
    """Texts by id."""
    candidates: Mapping[str, Sequence[Candidate]]
    """What the first stage found by query id, best first. A query may be missing."""
    documents: Mapping[str, Document]
    """By id: those that were found, and those that are relevant, as far as their text is known."""
    grades: Grades | None = None
    """``None`` without judgements."""
    corpus: Corpus = field(default_factory=lambda: Corpus((), whole=False))
    queries_without_text: int = 0
    """Judged queries whose text isn't known, and which are left out."""
    ranks_contradicted: int = 0
    """Neighbours in a run's ranks whose scores rise."""
    texts_contradicted: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Two different texts that documents of the same id were given, the shorter first."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """What the first stage took for each query, where it was asked."""

    @property
    def depth(self) -> int:
        """The largest number of candidates of a query."""
        return max(map(len, self.candidates.values()), default=0)

    def found(self, query: str) -> Sequence[Candidate]:
        """The first stage's candidates of a query, best first."""
        return self.candidates.get(query, ())

    def texts(self, query: str) -> list[str]:
        """The candidates' texts, in their order; empty where it isn't known."""
        none = Document("")
        return [self.documents.get(each.id, none).whole for each in self.found(query)]

    def scores(self, query: str) -> list[float | None]:
        """The candidates' scores, in their order."""
        return [each.score for each in self.found(query)]

    def grade(self, query: str, document: str) -> int | None:
        """The grade of a document for a query; ``None`` where nobody judged it."""
        return None if self.grades is None else self.grades.get(query, {}).get(document)

    def sample(self, count: int | None, seed: int = 0) -> Collection:
        """The same with ``count`` queries, drawn with a seed; with all of them for ``None``."""
        if count is None or count >= len(self.queries):
            return self
        kept = set(sampled(list(self.queries), count, seed))
        return replace(
            self,
            queries={each: text for each, text in self.queries.items() if each in kept},
            candidates={each: found for each, found in self.candidates.items() if each in kept},
            grades=self.grades
            and {each: grades for each, grades in self.grades.items() if each in kept},
        )


def appearances(candidates: Mapping[str, Sequence[Candidate]]) -> dict[str, int]:
    """Count how many queries each document was found for, by id."""
    return Counter(name for listed in candidates.values() for name in {each.id for each in listed})


def sampled(queries: Sequence[str], count: int, seed: int = 0) -> list[str]:
    """``count`` of ``queries``, or all where there are fewer, drawn with a seed, in their order."""
    if count >= len(queries):
        return list(queries)
    kept = set(random.Random(seed).sample(range(len(queries)), count))
    return [each for place, each in enumerate(queries) if place in kept]
