"""Symmetric int8 storage of weights: int8 on disk, float32 when they run."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Int8Array:
    """A float32 array kept as int8: `values * scale`.

    values: int8, in -127..127.
    scale: float32, of the same rank and size 1 along the axis that shares a scale.
    """

    values: NDArray[np.int8]
    scale: NDArray[np.float32]


def quantize(weight: NDArray[np.float32], *, reduce_axis: int) -> Int8Array:
    """Round `weight` (float32) to int8; the values along `reduce_axis` share a scale."""
    largest = np.abs(weight).max(axis=reduce_axis, keepdims=True)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    values = np.clip(np.rint(weight / scale), -127, 127).astype(np.int8)
    return Int8Array(values, scale)
