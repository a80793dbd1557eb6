"""What a query's words count in the mean of their best matches."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from late_interaction import LEAST_WORTH

VOCABULARY = 30522
# What choose.py and published.py try: powers of the inverse document frequency, and shares of the
# cosine.
POWERS = (0.0, 0.5, 1.0, 1.5)
SHARES = (0.0, 0.25, 0.5, 1.0, 1.5)


def worth(
    passage_ids: Sequence[Sequence[int]], power: float, vocabulary: int = VOCABULARY
) -> NDArray[np.float32]:
    """Float32 `[vocabulary]`: the inverse document frequency among the passages, to a `power`.

    `log((n + 1) / (df + 0.5))`, as in Robertson and Zaragoza, "The Probabilistic Relevance
    Framework: BM25 and Beyond" (2009), without what makes it negative.
    """
    frequency = np.zeros(vocabulary)
    for ids in passage_ids:
        frequency[np.unique(ids)] += 1
    inverse = np.log((len(passage_ids) + 1) / (frequency + 0.5))
    return np.asarray(np.maximum(inverse, LEAST_WORTH) ** power, np.float32)
