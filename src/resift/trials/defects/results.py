"""Results that aren't what they should be: none, the same for other queries, twice, unknown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection as Several
from collections.abc import Mapping, Sequence

from resift.trials.collection import Grades
from resift.trials.defects.defect import SHARE, Defect, share

Results = Mapping[str, Sequence[str]]
"""Ids of documents by query, best first."""

_ALIKE = 5


def empty(results: Results, queries: Sequence[str]) -> Defect | None:
    """Queries for which nothing was found."""
    bare = [each for each in queries if not results.get(each)]
    if len(bare) < max(1, SHARE * len(queries)):
        return None
    return Defect(
        name="queries without results",
        where="first stage",
        said=f"{share(len(bare), len(queries))} queries have no candidates, and count 0",
        advice="See whether these were asked, timed out, or lost with a part of the index",
        evidence={"queries": len(bare), "examples": bare[:5]},
    )


def identical(results: Results, queries: Mapping[str, str]) -> Defect | None:
    """Different queries with the same results in the same order."""
    groups: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for query, found in results.items():
        if len(found) >= _ALIKE and query in queries:
            groups[tuple(found)].append(query)
    alike = [group for group in groups.values() if _differ([queries[each] for each in group])]
    count = sum(map(len, alike))
    if count < max(2, SHARE * len(results)):
        return None
    largest = max(alike, key=len)
    return Defect(
        name="identical results",
        where="first stage",
        said=f"{share(count, len(results))} queries share all results with a different query; the "
        f"largest group has {len(largest)}",
        advice="The query may not reach the search: a cache with the wrong key, a default, or an "
        "empty vector",
        evidence={"queries": count, "examples": largest[:5]},
    )


def _differ(texts: Sequence[str]) -> bool:
    """Whether some text has less than half of its words in common with the first."""
    first, *others = (set(text.lower().split()) for text in texts)
    return any(len(first & each) < 0.5 * max(len(first), len(each)) for each in others)


def duplicates(results: Results) -> Defect | None:
    """Documents that were found twice for one query."""
    twice = {query: len(found) - len(set(found)) for query, found in results.items()}
    queries = [query for query, count in twice.items() if count]
    if not queries:
        return None
    return Defect(
        name="duplicates",
        where="first stage",
        said=f"{share(len(queries), len(results))} queries have the same document more than once: "
        f"{sum(twice.values())} places are taken twice",
        advice="Merge chunks or shards by document before reranking",
        evidence={"queries": len(queries), "examples": queries[:5]},
    )


def unjudgeable(grades: Grades, corpus: Several[str]) -> Defect | None:
    """Relevant documents that the corpus doesn't have."""
    relevant = {name for judged in grades.values() for name, grade in judged.items() if grade > 0}
    missing = sorted(relevant - set(corpus))
    if len(missing) < max(1, SHARE * len(relevant)):
        return None
    return Defect(
        name="judged documents missing",
        where="judgements",
        said=f"{share(len(missing), len(relevant))} relevant documents aren't in the corpus, so "
        "nothing can find them",
        advice="See that judgements and corpus are of the same version, and spell ids alike",
        evidence={"documents": len(missing), "examples": missing[:5]},
    )


def unasked(count: int, queries: int) -> Defect | None:
    """Judged queries without a text."""
    if not count:
        return None
    return Defect(
        name="judged queries missing",
        where="judgements",
        said=f"{share(count, count + queries)} judged queries have no text here, and are left out",
        advice="See that judgements and queries are of the same version, and spell ids alike",
        evidence={"queries": count},
    )


def unjudged(grades: Grades, results: Results, k: int = 10) -> Defect | None:
    """A first ten of which less than half was judged at all, where there is more than one judgement
    for a query on average: sparse judgements are few by design.
    """
    judged = [len(each) for each in grades.values()]
    if not judged or sum(judged) / len(judged) < k:
        return None
    seen = [
        sum(name in grades.get(query, {}) for name in found[:k]) / len(found[:k])
        for query, found in results.items()
        if found
    ]
    mean = sum(seen) / len(seen) if seen else 1.0
    if mean >= 0.5:
        return None
    return Defect(
        name="unjudged results",
        level="note",
        where="judgements",
        said=f"of the first {k} only {100 * mean:.0f} % were judged; the others count as wrong",
        advice="Look at nDCG of the judged alone beside it, and judge more: resift label",
        evidence={"judged": mean},
    )
