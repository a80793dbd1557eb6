"""Stability: the same query with its candidates in another order, and twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from resift.trials.collection import Collection
from resift.trials.measuring import Values
from resift.trials.running import Run

QUERIES, MOST, TWICE = 5, 30, 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Stability:
    """Movements of scores that shouldn't move."""

    ranker: str
    shuffled: float
    """The largest change of a score with the candidates shuffled, as a share of their spread."""
    same_order: float
    """Mean Kendall's tau between the orders before and after."""
    repeated: float
    """The largest difference of a document's scores where it is given twice, as a share."""
    queries: int


def stability(run: Run, collection: Collection, *, seed: int = 0) -> Stability | None:
    """Rank a few queries again, shuffled and with duplicates; ``None`` for what gives no scores."""
    from scipy.stats import kendalltau

    reranker = run.ranker.reranker
    if reranker is None or not run.pure:
        return None
    rng = np.random.default_rng(seed)
    queries = [each for each in collection.queries if len(collection.found(each)) > 2][:QUERIES]
    moved, taus, repeated = [], [], []

    def score(query: str, texts: Sequence[str]) -> Values:
        # Another order is what a prior is to change by.
        prior = 0.0 if run.scale == "logit" else None
        found = np.zeros(len(texts))
        for each in reranker.rank(collection.queries[query], texts, prior=prior):
            value = each.score if each.logit is None else each.logit
            found[each.index] = np.nan if value is None else value
        return found

    for query in queries:
        texts = collection.texts(query)[:MOST]
        first = score(query, texts)
        spread = float(np.ptp(first)) or 1.0
        order = rng.permutation(len(texts))
        again = np.empty_like(first)
        again[order] = score(query, [texts[place] for place in order])
        moved.append(float(abs(again - first).max()) / spread)
        taus.append(float(kendalltau(first, again).statistic))
        twice = score(query, [*texts, *texts[:TWICE]])
        repeated.append(float(abs(twice[len(texts) :] - twice[:TWICE]).max()) / spread)
    if not queries:
        return None
    return Stability(
        ranker=run.name,
        shuffled=max(moved),
        same_order=float(np.nanmean(taus)),
        repeated=max(repeated),
        queries=len(queries),
    )
