"""First stages, and their orders of documents: by scores, and by the orders of others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resift.evaluation.measures import in_order
from teachers import TEACHERS

# G. Cormack and others, "Reciprocal rank fusion outperforms Condorcet and individual rank learning
# methods", SIGIR 2009.
_RANK = 60


@dataclass(frozen=True)
class Stage:
    """A first stage: the rankings of these retrievers, fused where they are several."""

    retrievers: frozenset[str]

    def __str__(self) -> str:
        return " + ".join(sorted(self.retrievers))


STAGES = tuple(
    Stage(frozenset(names))
    for names in (("bm25",), *((name,) for name in TEACHERS), *(("bm25", n) for n in TEACHERS))
)


def best(scores: NDArray[np.floating], count: int) -> list[int]:
    """The places of the `count` highest scores, the highest first; equal ones keep their order."""
    return [int(place) for place in in_order(scores)[:count]]


def fused(lists: Sequence[Sequence[int]], count: int) -> list[int]:
    """The `count` first by reciprocal-rank fusion; equal ones as they come in `lists`."""
    scores: dict[int, float] = {}
    for ranked in lists:
        for rank, each in enumerate(ranked, start=1):
            scores[each] = scores.get(each, 0.0) + 1 / (_RANK + rank)
    return sorted(scores, key=lambda each: -scores[each])[:count]
