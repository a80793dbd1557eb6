"""Costs of passes, learnt by length and size."""

from __future__ import annotations

import pytest

from resift.loading.costs import Costs


def test_costs_are_learnt_by_length_and_size() -> None:
    costs = Costs()
    assert costs.of_pass(1, 100) == 0
    for _ in range(30):
        costs.learn_pass(1, 30, 0.003)
        costs.learn_pass(8, 30, 0.012)
        costs.learn_pass(1, 500, 0.1)
    assert costs.of_pass(1, 30) == pytest.approx(0.003)
    assert costs.of_pass(8, 30) == pytest.approx(0.012)
    assert costs.of_pass(1, 500) == pytest.approx(0.1)
    # What is unknown counts as the nearest.
    assert costs.of_pass(1, 300) == pytest.approx(300 * 0.1 / 500)
    for _ in range(100):
        costs.learn_pass(1, 30, 0.006)
    assert costs.of_pass(1, 30) == pytest.approx(0.006, rel=0.01)


def test_costs_that_vary_are_taken_higher() -> None:
    costs = Costs()
    for n in range(200):
        costs.learn_pass(1, 10, 0.001 if n % 2 else 0.002)
    assert 0.0020 < costs.of_pass(1, 10) < 0.0026
    costs.learn_reading(0, 1.0)
    assert costs.of_reading(10) == 0
    costs.learn_reading(1000, 0.001)
    assert costs.of_reading(500) == pytest.approx(0.0005)
