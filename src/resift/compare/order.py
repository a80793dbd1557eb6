"""Faults of the order and the indices of a server's answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from resift.compare.findings import Finding
from resift.compare.fitting import Grain, fit
from resift.compare.pairs import REVERSED
from resift.compare.tables import Table, Tables, differences, spread

IN_ORDER_GIVEN = frozenset({"kserve-v2", "vllm-score", "weaviate"})
"""Protocols whose answers are in the order given, and not best first."""
_LEFT_OUT_BY = {"tei": "TEI's own server knows no top_n, and returns every document"}


def judge_indices(tables: Tables, protocol: str, grain: Grain) -> Iterator[Finding]:
    """Whether each document is there once, under its own index."""
    whole = [each for each in tables.values() if each.is_answered and each.probe.top_n is None]
    problems = [each for each in map(_faults, whole) if each]
    if problems:
        yield Finding(
            topic="documents",
            verdict="differs",
            said="not every document comes back once",
            evidence={"faults": problems[:3], "requests": len(problems)},
            advice="find what drops, repeats or numbers documents between the model and its answer",
        )
    else:
        yield Finding(topic="documents", verdict="same", said="every document comes back once")
    why = _misplaced(tables, grain)
    if why is None:
        yield Finding(topic="index", verdict="same", said="scores stand at their documents' index")
        return
    sorts = "leave the order given: clients put scores to documents by their place"
    yield Finding(
        topic="index",
        verdict="differs",
        said="scores stand at other documents' indices",
        evidence={"why": why},
        advice=sorts
        if protocol in IN_ORDER_GIVEN
        else "let index be the place in the documents that were sent, not that in the answer",
    )


def judge_order(tables: Tables, protocol: str) -> Iterator[Finding]:
    """Whether answers are best first, equal scores keep their order, and top_n is kept."""
    answered = [each for each in tables.values() if each.is_answered]
    if protocol not in IN_ORDER_GIVEN:
        unsorted = [each.probe.name for each in answered if not _falls(each)]
        if unsorted:
            yield Finding(
                topic="order",
                verdict="differs",
                said="answers aren't sorted by score",
                evidence={"requests": len(unsorted), "of": len(answered)},
                advice="sort by score, and read scores by their index alone",
            )
        elif any(_swaps_ties(each) for each in answered):
            yield Finding(
                topic="order",
                verdict="note",
                said="best first, but of equal scores a later document may come first",
                advice="sort by score and then by index yourself, where ties matter",
            )
        else:
            yield Finding(topic="order", verdict="same", said="best first")
    yield from _judge_top(tables.get("top"), protocol)


def _judge_top(table: Table | None, protocol: str) -> Iterator[Finding]:
    if table is None:
        return
    if not table.is_answered:
        yield failure("top_n", table)
        return
    why = _LEFT_OUT_BY.get(protocol, "it isn't kept")
    asked, count = table.probe.top_n, len(table.answer.scores)
    if count == asked:
        yield Finding(topic="top_n", verdict="same", said=f"top_n={asked} gives {asked}")
        return
    yield Finding(
        topic="top_n",
        verdict="note" if protocol in _LEFT_OUT_BY else "differs",
        said=f"top_n={asked} gives {count} documents",
        evidence={"asked": asked, "came": count},
        advice=f"{why}: cut the answer yourself",
    )


def failure(topic: str, table: Table) -> Finding:
    """The finding that there is no answer."""
    return Finding(
        topic=topic,
        verdict="unknown",
        said=f"no answer: {table.answer.why}",
        advice="ask again, when the server answers this",
    )


def _faults(table: Table) -> str | None:
    indices = [each.index for each in table.answer.scores]
    count = len(table.probe.documents)
    counted = Counter(indices)
    missing = sorted(set(range(count)) - set(indices))
    twice = sorted(index for index, times in counted.items() if times > 1)
    outside = sorted(index for index in counted if not 0 <= index < count)
    unscored = sorted(each.index for each in table.answer.scores if each.score is None)
    infinite = sorted(
        each.index
        for each in table.answer.scores
        if each.score is not None and not np.isfinite(each.score)
    )
    parts = {
        "missing": missing,
        "more than once": twice,
        "out of range": outside,
        "without a score": unscored,
        "not finite": infinite,
    }
    said = [f"{name}: {found[:5]}" for name, found in parts.items() if found]
    return f"of {count} documents, indices {'; '.join(said)}" if said else None


def _misplaced(tables: Tables, grain: Grain) -> str | None:
    for table in tables.values():
        for each in table.answer.scores:
            documents = table.probe.documents
            named = isinstance(each.document, str) and 0 <= each.index < len(documents)
            if named and each.document != documents[each.index]:
                return "an answer's document isn't the one that was sent at its index"
    main, back = tables["main"], tables.get(REVERSED.name)
    width = spread(main.there)
    if width and back is not None and back.is_answered:
        by_place = differences(main.there, back.there)
        by_document = differences(main.there, back.there[::-1])
        if by_place < 0.01 * width < 0.2 * width < by_document:
            return "sent the other way round, documents have the same scores at the same places"
    pairs = [(main.here, main.there)]
    in_order = [(np.sort(main.here), np.sort(main.there))]
    if fit(pairs, grain) is None and (found := fit(in_order, grain)) is not None:
        return f"they are this model's ({found.scale}), but at other documents"
    return None


def _falls(table: Table) -> bool:
    scores = [each.score for each in table.answer.scores if each.score is not None]
    return all(one >= other for one, other in pairwise(scores))


def _swaps_ties(table: Table) -> bool:
    return any(
        one.score == other.score and one.index > other.index
        for one, other in pairwise(table.answer.scores)
    )
