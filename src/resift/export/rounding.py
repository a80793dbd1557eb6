"""Rounding a matrix to int8 so that its products change least, not its numbers.

The method of GPTQ (Frantar and others, 2022, arXiv 2210.17323): inputs are rounded one after the
other, and what each rounding changes in the products is made up for by those still to come.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEVELS = 127
# Share of the inputs' mean square added to each one's, so that the inverse exists: GPTQ's own.
_DAMPING = 0.01
# Inputs that are rounded before all later ones are adjusted, which is a matrix product then.
_BLOCK = 128


def round_to_int8(
    weight: NDArray[np.float32], moments: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """``weight [K, N]`` as int8 ``[K, N]`` from -127 to 127 and float32 scales ``[N]``.

    ``moments [K, K]`` is ``tokens.T @ tokens`` of what it will be multiplied with: values are
    chosen so that ``tokens @ (values * scale)`` is near ``tokens @ weight``.
    """
    largest = np.abs(weight).max(axis=0)
    scale = np.where(largest > 0, largest / _LEVELS, 1).astype(np.float64)
    moments = moments.astype(np.float64)
    mean = float(np.trace(moments)) / len(moments)
    # Of a matrix that meets zeros alone, no rounding is better than another.
    moments[np.diag_indices_from(moments)] += _DAMPING * mean if mean > 0 else 1.0
    # The strongest inputs first, while there are many left to make up for them.
    order = np.argsort(-np.diag(moments), kind="stable")
    # Row i: how a change of input i is best spread over those after it.
    spread = np.linalg.cholesky(np.linalg.inv(moments[np.ix_(order, order)])).T
    rest = weight[order].astype(np.float64)
    values = np.empty_like(rest)
    for start in range(0, len(rest), _BLOCK):
        stop = min(start + _BLOCK, len(rest))
        errors = np.empty((stop - start, rest.shape[1]))
        for row in range(start, stop):
            values[row] = np.clip(np.rint(rest[row] / scale), -_LEVELS, _LEVELS)
            errors[row - start] = (rest[row] - values[row] * scale) / spread[row, row]
            rest[row:stop] -= np.outer(spread[row, row:stop], errors[row - start])
        rest[stop:] -= spread[start:stop, stop:].T @ errors
    rounded = np.empty_like(values, dtype=np.int8)
    rounded[order] = values.astype(np.int8)
    return rounded, scale.astype(np.float32)
