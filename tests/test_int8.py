"""Weights in int8, and those of them whose products fit 16 bits in pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from resift.export.int8 import pair_sums, quantise

matrices = arrays(
    np.float32,
    st.tuples(st.integers(1, 9), st.integers(1, 4)),
    elements=st.floats(-8, 8, width=32, allow_subnormal=False),
)


def largest_sum(values: NDArray[np.int8], column: int) -> int:
    """The largest sum of two adjacent products by the largest tokens, as AVX2 adds them."""
    numbers = [int(each) for each in values[:, column]] + [0]
    pairs = zip(numbers[::2], numbers[1::2], strict=False)
    return max(
        abs(255 * sum(max(side * each, 0) for each in pair)) for pair in pairs for side in (1, -1)
    )


@given(matrices)
def test_narrow_weights_never_need_more_than_16_bits(weight: NDArray[np.float32]) -> None:
    values, scale = quantise(weight, narrow=True)
    for column in range(weight.shape[1]):
        assert largest_sum(values, column) <= 2**15 - 1
    assert (np.abs(values * scale - weight) <= scale * 0.501).all()


@given(matrices)
def test_wide_weights_use_all_of_int8(weight: NDArray[np.float32]) -> None:
    values, scale = quantise(weight)
    used = np.abs(weight).max(axis=0) > 0
    assert (np.abs(values.astype(np.int32)).max(axis=0)[used] == 127).all()
    assert (np.abs(values * scale - weight) <= scale * 0.501).all()


def test_narrow_weights_give_up_no_more_than_they_must() -> None:
    weight = np.random.default_rng(0).standard_normal((384, 64)).astype(np.float32)
    wide, narrow = quantise(weight)[1], quantise(weight, narrow=True)[1]
    # Seven bits throughout would make every scale twice as large.
    assert 1 <= np.median(narrow / wide) < 1.5
    assert pair_sums(quantise(weight, narrow=True)[0]).max() <= 128


@pytest.mark.parametrize("narrow", [False, True])
def test_a_column_of_zeros_stays_one(narrow: bool) -> None:
    values, scale = quantise(np.zeros((4, 2), dtype=np.float32), narrow=narrow)
    assert not values.any()
    assert (scale == 1).all()
