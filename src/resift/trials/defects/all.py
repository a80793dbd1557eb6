"""All that is looked for, in a collection and in the runs over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from resift.trials.collection import Collection, Document
from resift.trials.defects import results, scores, shards, swapped, texts
from resift.trials.defects.defect import Defect
from resift.trials.measuring import PRIMARY, Values, measure
from resift.trials.running import Run


def of_collection(collection: Collection) -> list[Defect]:
    """Defects of the documents, of the first stage and of the judgements."""
    found = {query: [each.id for each in listed] for query, listed in collection.candidates.items()}
    ids = {name for listed in found.values() for name in listed}
    documents = {name: collection.documents[name] for name in ids & collection.documents.keys()}
    checks = [
        texts.empty(documents),
        texts.constant(documents),
        texts.cut(documents),
        texts.contradicted(collection.texts_contradicted, len(documents)),
        texts.missing_titles(documents),
        texts.unknown(sorted(ids - documents.keys()), len(ids)),
        results.empty(found, list(collection.queries)),
        results.identical(found, collection.queries),
        swapped.of_others(collection.queries, found, lambda name: _text(documents, name)),
        results.duplicates(found),
        results.unasked(collection.queries_without_text, len(collection.queries)),
        _shard(collection),
        *_first_scores(collection),
    ]
    if collection.grades is not None:
        checks.append(results.unjudged(collection.grades, found))
        if collection.corpus.whole:
            checks.append(results.unjudgeable(collection.grades, set(collection.corpus.ids)))
    return [each for each in checks if each is not None]


def _text(documents: Mapping[str, Document], name: str) -> str:
    return documents[name].whole if name in documents else ""


def _shard(collection: Collection) -> Defect | None:
    """The relevant documents tell most: of others, nobody knows whether they should be found."""
    whole = collection.corpus.whole
    there = set(collection.corpus.ids)
    appearances = collection.corpus.appearances
    found = set(appearances)
    relevant = sorted(
        {
            name
            for judged in (collection.grades or {}).values()
            for name, grade in judged.items()
            if grade > 0 and (name in there or not whole)
        }
    )
    return (
        shards.broken(relevant, found, relevant=True)
        or (shards.broken(collection.corpus.ids, found, relevant=False) if whole else None)
        or shards.missing_remainder(found)
        or (shards.never_found(collection.corpus.ids, appearances) if whole else None)
    )


def _first_scores(collection: Collection) -> list[Defect | None]:
    where = "first stage"
    given = {
        query: np.array([np.nan if x.score is None else x.score for x in listed], np.float64)
        for query, listed in collection.candidates.items()
    }
    count = sum(int(np.isfinite(each).sum()) for each in given.values())
    return [
        scores.doubled_sigmoid(given, where),
        scores.constant(given, where),
        scores.saturated(given, where),
        scores.against_order(given, where, collection.ranks_contradicted),
        scores.not_finite(given, where, count),
    ]


def of_run(run: Run, collection: Collection) -> list[Defect]:
    """Defects of a ranker's scores, in the order that it ranks by."""
    ranker = run.ranker.reranker
    if ranker is None:
        return []
    raw = {query: each.raw[each.order] for query, each in run.ordered.items()}
    different = {
        query: _different(each, collection.texts(query), run.ordered[query].order.tolist())
        for query, each in raw.items()
    }
    checks = [
        scores.doubled_sigmoid(raw, run.name),
        scores.constant(different, run.name),
        scores.saturated(different, run.name),
    ]
    return [each for each in checks if each is not None]


def _different(raw: Values, texts: Sequence[str], order: Sequence[int]) -> Values:
    """The scores of different texts: equal texts have equal scores by right."""
    first = {texts[place]: at for at, place in reversed(list(enumerate(order)))}
    kept: Values = raw[sorted(first.values())]
    return kept


def turned_round(
    runs: Sequence[Run],
    collection: Collection,
    queries: Sequence[str],
    values: Mapping[str, Values],
) -> list[Defect]:
    """Rankers whose order is better from the last to the first; ``values`` are nDCG@10 by name."""
    found = []
    for run in runs:
        backwards = {query: order[::-1] for query, order in run.orders.items()}
        turned = measure(collection, backwards, queries, [PRIMARY])[PRIMARY]
        where = "first stage" if run.ranker.reranker is None else run.name
        found.append(scores.reversed_order(values[run.name], turned, where))
    return [each for each in found if each is not None]
