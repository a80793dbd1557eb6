"""Rounding of weights, by what it does to products."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from resift.export.rounding import round_to_int8


def nearest(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    scale = np.abs(weight).max(axis=0) / 127
    rounded: NDArray[np.float32] = np.rint(weight / scale) * scale
    return rounded


# More inputs than one block has.
@pytest.mark.parametrize("size", [8, 200])
def test_products_change_less_than_with_nearest_values(size: int) -> None:
    generator = np.random.default_rng(0)
    weight = generator.standard_normal((size, 24)).astype(np.float32)
    # Correlated inputs of unlike strength, which is what tokens are.
    mixing = generator.standard_normal((size, size)) * generator.uniform(0.01, 3, size)
    tokens = (generator.standard_normal((2000, size)) @ mixing).astype(np.float32)
    unseen = (generator.standard_normal((500, size)) @ mixing).astype(np.float32)
    values, scale = round_to_int8(weight, tokens.T @ tokens)
    assert (values.dtype, scale.dtype) == (np.dtype(np.int8), np.dtype(np.float32))
    assert np.abs(values).max() == 127
    for each in (tokens, unseen):
        error = ((each @ (values * scale - weight)) ** 2).mean()
        plain = ((each @ (nearest(weight) - weight)) ** 2).mean()
        assert error < 0.7 * plain


def test_without_correlation_values_are_the_nearest() -> None:
    generator = np.random.default_rng(1)
    weight = generator.standard_normal((16, 8)).astype(np.float32)
    values, scale = round_to_int8(weight, 9 * np.eye(16))
    assert values * scale == pytest.approx(nearest(weight), abs=1e-6)


def test_inputs_that_are_never_there() -> None:
    weight = np.array([[1.0, 0.0], [2.0, 0.0]], dtype=np.float32)
    values, scale = round_to_int8(weight, np.zeros((2, 2)))
    assert values.tolist() == [[64, 0], [127, 0]]
    assert np.isfinite(scale).all()
