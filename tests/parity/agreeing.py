"""Agreement of the logits of two implementations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from resift import RankedDocument

TOLERANCE = 1e-4
Logits = NDArray[np.float32]


def agree(results: Sequence[RankedDocument], expected: Logits) -> None:
    """The logits within the tolerance; the order, of all that are further apart than it."""
    found = {result.index: result.logit or 0.0 for result in results}
    assert sorted(found) == list(range(len(expected)))
    in_order = [found[index] for index in range(len(expected))]
    np.testing.assert_allclose(in_order, expected, rtol=0, atol=TOLERANCE)
    ranked = expected[[result.index for result in results]]
    best_still_to_come = np.maximum.accumulate(ranked[::-1])[::-1]
    assert (best_still_to_come - ranked <= TOLERANCE).all()
