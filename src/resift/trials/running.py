"""Rankings of all queries by a ranker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resift.ranking import Ranking
from resift.trials.collection import Collection
from resift.trials.rankers import Ranker

Floats = NDArray[np.float64]
Orders = Mapping[str, Sequence[int]]
"""Places of the first stage's candidates by query, best first."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """One query, as a ranker ordered its candidates."""

    order: NDArray[np.intp]
    """``[candidates]``: places in the first stage's order, best first; each exactly once."""
    raw: Floats
    """``[candidates]``, by place: logits, or the server's own scores; NaN where there is none."""
    cut: NDArray[np.bool_]
    """``[candidates]``, by place: whether the model saw less than the whole document."""
    whole: bool
    """Whether every document has a score that no other document has a part in."""


@dataclass(frozen=True, slots=True)
class Run:
    """All queries, as a ranker ordered their candidates."""

    ranker: Ranker
    ordered: Mapping[str, Ordered]
    model: str | None = None
    revision: str | None = None
    backend: str | None = None
    precision: str | None = None
    scale: str | None = None

    @property
    def name(self) -> str:
        """The ranker's name."""
        return self.ranker.name

    @property
    def orders(self) -> dict[str, list[int]]:
        """The orders by query."""
        return {query: each.order.tolist() for query, each in self.ordered.items()}

    @property
    def pure(self) -> bool:
        """Whether every score is the document's own, so that any depth can be read off it."""
        return self.ranker.reranker is not None and all(x.whole for x in self.ordered.values())

    def at_depth(self, depth: int) -> dict[str, list[int]]:
        """The orders if only the first ``depth`` candidates were reranked; of a ``pure`` run."""
        return {
            query: [*(i for i in order if i < depth), *range(min(depth, len(order)), len(order))]
            for query, order in self.orders.items()
        }


def run(ranker: Ranker, collection: Collection, top_n: int, queries: Iterable[str]) -> Run:
    """Rank the candidates of each of ``queries``; ``top_n`` is for rankers that prune."""
    if ranker.reranker is None:
        return Run(ranker, {each: _as_found(collection, each) for each in queries})
    reranker = ranker.keeping or ranker.reranker
    kept = top_n if ranker.prunes else None
    ordered = {}
    last: Ranking | None = None
    for query in queries:
        texts = collection.texts(query)
        if not texts:
            ordered[query] = _as_found(collection, query)
            continue
        last = reranker.rank(
            collection.queries[query],
            texts,
            first_stage_scores=collection.scores(query),
            top_n=kept,
        )
        ordered[query] = read(last, len(texts))
    return Run(ranker, ordered) if last is None else Run(ranker, ordered, **_about(last))


def read(ranking: Ranking, count: int) -> Ordered:
    """The order of ``count`` candidates; what isn't in the ranking follows as it was found."""
    first = [each.index for each in ranking]
    there = set(first)
    order = [*first, *(place for place in range(count) if place not in there)]
    raw = np.full(count, np.nan)
    cut = np.zeros(count, bool)
    for each in ranking:
        value = each.score if each.logit is None else each.logit
        raw[each.index] = np.nan if value is None else value
        cut[each.index] = each.truncated_tokens > 0
    whole = len(first) == count and ranking.scale != "order" and bool(np.isfinite(raw).all())
    # Scores of different stages aren't of one scale.
    return Ordered(np.array(order, np.intp), raw, cut, whole and len(ranking.stages) <= 1)


def _as_found(collection: Collection, query: str) -> Ordered:
    scores = [np.nan if each is None else each for each in collection.scores(query)]
    count = len(scores)
    none = np.zeros(count, bool)
    return Ordered(np.arange(count), np.array(scores, np.float64), none, whole=True)


def _about(ranking: Ranking) -> dict[str, Any]:
    names = ("model", "revision", "backend", "precision", "scale")
    return {name: getattr(ranking, name) for name in names}
