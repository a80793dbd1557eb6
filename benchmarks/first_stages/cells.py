"""What a reranker does to a first stage, by the weight of the order given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collection import Collection
from comparison import measure
from resift import InvalidRequestError, Prior
from resift.evaluation.intervals import paired_bootstrap

MEASURE = "ndcg@10"
WEIGHTS = (0, 0.1, 0.2, 0.3, 0.6, 1.5)
SEED = 0

Values = NDArray[np.float64]


class Pair:
    """One first stage with one reranker: logits by query, in the first stage's order."""

    def __init__(
        self, collection: Collection, lists: Mapping[str, Sequence[int]], logits: Mapping[str, Any]
    ) -> None:
        names = list(collection.documents)
        self.queries = list(logits)
        self._collection = replace(
            collection,
            run={
                query: {names[place]: -float(rank) for rank, place in enumerate(listed)}
                for query, listed in lists.items()
            },
        )
        self._logits = logits
        self.first_stage = self._measure(lambda query: -np.arange(len(logits[query])))

    def _measure(self, score: Callable[[str], Any]) -> Values:
        scores = {query: score(query) for query in self.queries}
        return measure(self._collection, self.queries, scores)[MEASURE]

    def with_weight(self, weight: float | Mapping[str, float]) -> Values:
        """By query, in the order of `queries`; the weight of all, or of each."""

        def posterior(query: str) -> Any:
            own = weight[query] if isinstance(weight, Mapping) else weight
            logits = self._logits[query].astype(np.float64)
            return logits + Prior(place_weight=own)(range(len(logits)))

        return self._measure(posterior)

    def fitted(self, queries: Sequence[str]) -> float:
        """The weight by `Prior.fit` on some queries; raises what that does."""
        grades = {
            query: self._collection.grades_of(query, self._collection.candidates(query))
            for query in queries
        }
        return Prior.fit(
            np.concatenate([self._logits[query] for query in queries]).tolist(),
            [place for query in queries for place in range(len(grades[query]))],
            [int(grade > 0) for query in queries for grade in grades[query]],
            queries=[query for query in queries for _ in grades[query]],
        ).place_weight

    def on_the_other_half(self) -> tuple[Values, list[float]] | None:
        """Each half of the queries with the weight that the other gives; and both weights.

        `None` where a half says that the reranker adds nothing.
        """
        shuffled = np.random.default_rng(SEED).permutation(self.queries).tolist()
        halves = shuffled[::2], shuffled[1::2]
        try:
            weights = [self.fitted(half) for half in halves]
        except InvalidRequestError:
            return None
        by_query = {
            query: weight
            for half, weight in zip(halves, weights[::-1], strict=True)
            for query in half
        }
        return self.with_weight(by_query), weights


def cell(pair: Pair, card: float | None) -> dict[str, Any]:
    """The figures of one pair: nDCG@10 and paired intervals of its gain, by weight.

    Rounded to four digits. `kept` is the share of the gain without a weight; `None` without one.
    """
    weights = {f"{weight:g}": float(weight) for weight in WEIGHTS}
    if card is not None:
        weights["card"] = card
    values: dict[str, Values] = {name: pair.with_weight(each) for name, each in weights.items()}
    found: dict[str, Any] = {"first_stage": round(float(pair.first_stage.mean()), 4)}
    halved = pair.on_the_other_half()
    if halved is not None:
        values["fitted"], fitted = halved
        found["fitted_weights"] = [round(each, 3) for each in fitted]
    alone = values["0"]
    gain = float((alone - pair.first_stage).mean())
    for name, each in values.items():
        over = paired_bootstrap(each, pair.first_stage)
        found[name] = {
            "mean": round(float(each.mean()), 4),
            "over_first_stage": [round(over.low, 4), round(over.high, 4)],
            "kept": round(over.mean / gain, 3) if gain > 0 else None,
        }
    if halved is not None:
        over = paired_bootstrap(values["fitted"], alone)
        found["fitted"]["over_reranker"] = [round(over.low, 4), round(over.high, 4)]
    return found
