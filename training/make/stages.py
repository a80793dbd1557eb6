"""First stages as orders of documents: by scores, and by the orders of others."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from resift.evaluation.measures import in_order

# G. Cormack and others, "Reciprocal rank fusion outperforms Condorcet and individual rank learning
# methods", SIGIR 2009.
_RANK = 60


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
