"""The check of a server's answer, and its reading as logits or scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resift.protocols import WireError, WireResult, WireScore

_LARGEST = float(np.finfo(np.float32).max)

Values = NDArray[np.float64]


def in_place(result: WireResult, count: int, *, all_of_them: bool = True) -> dict[int, WireScore]:
    """The scores of an answer by index.

    Raises ``WireError`` unless every index below ``count`` is there once; with ``all_of_them``
    ``False``, at most once.
    """
    found = {each.index: each for each in result.scores}
    outside = sorted(index for index in found if not 0 <= index < count)
    if outside:
        raise WireError(f"index {outside[0]} is out of range: {count} documents were sent")
    if len(found) != len(result.scores):
        indices = [each.index for each in result.scores]
        twice = next(index for index in indices if indices.count(index) > 1)
        raise WireError(f"index {twice} is there more than once")
    if all_of_them and len(found) != count:
        missing = next(index for index in range(count) if index not in found)
        raise WireError(
            f"index {missing} is missing: {count} documents were sent, {len(found)} came back"
        )
    return found


def finite(value: float | None, index: int) -> float:
    """Pass a number that float32 has. Raises ``WireError`` naming the index."""
    if value is None or not abs(value) <= _LARGEST:
        raise WireError(f"the score of index {index} isn't a finite number")
    return value


def scores_of(result: WireResult, count: int) -> Values:
    """The scores of ``count`` documents in their order. Raises ``WireError``."""
    found = in_place(result, count)
    return np.array([finite(found[i].score, i) for i in range(count)], dtype=np.float64)
