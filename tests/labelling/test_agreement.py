"""Agreement of two people, against published numbers and the definitions."""

from __future__ import annotations

from itertools import product
from math import isclose

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resift import InvalidRequestError
from resift.files.grades import Key, Label
from resift.labelling.agreement import agreement, alpha

grades = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


def labels(given: list[int]) -> dict[Key, Label]:
    return {("q", f"d{n}"): Label("q", f"d{n}", grade) for n, grade in enumerate(given)}


def two(given: list[tuple[int, int]]) -> tuple[dict[Key, Label], dict[Key, Label]]:
    return labels([one for one, _ in given]), labels([other for _, other in given])


def test_the_textbook_table_of_fifty_proposals() -> None:
    # Two readers of 50 applications: both yes 20, both no 15, 5 and 10 apart.
    given = [(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15
    found = agreement(*two(given))
    assert found.same == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)
    # Of two grades, weights change nothing.
    assert found.weighted_kappa == pytest.approx(0.4)
    assert found.counts == [[15, 10], [5, 20]]


def test_krippendorffs_own_example_of_ordinal_grades() -> None:
    # His paper's coincidences of four observers and twelve units: 0.815.
    third = 1 / 3
    coincidences = np.array(
        [
            [7, 4 * third, third, third, 0],
            [4 * third, 10, 4 * third, third, 0],
            [third, 4 * third, 8, third, 0],
            [third, third, third, 4, 0],
            [0, 0, 0, 0, 3],
        ]
    )
    assert alpha(coincidences) == pytest.approx(0.815, abs=5e-4)


@given(grades)
def test_coefficients_are_those_of_their_definitions(given: list[tuple[int, int]]) -> None:
    found, number = agreement(*two(given)), len(given)
    values = sorted({grade for pair in given for grade in pair})
    assert sum(map(sum, found.counts)) == found.pairs == number
    for value, weight in ((found.kappa, 0), (found.weighted_kappa, 2)):
        apart = sum(abs(a - b) ** weight for a, b in given if a != b) / number
        chance = sum(abs(a - b) ** weight for (a, _), (_, b) in product(given, given) if a != b)
        assert (value is None) == (chance == 0)
        assert value is None or isclose(value, 1 - apart * number**2 / chance, abs_tol=1e-9)
    pooled = [grade for pair in given for grade in pair]

    def distance(a: int, b: int) -> float:
        low, high = sorted((a, b))
        between = sum(pooled.count(each) for each in values if low <= each <= high)
        return (between - (pooled.count(a) + pooled.count(b)) / 2) ** 2 if a != b else 0.0

    chance = sum(distance(a, b) for a in pooled for b in pooled) / (len(pooled) - 1)
    assert (found.alpha is None) == (chance == 0)
    apart = sum(2 * distance(a, b) for a, b in given)
    assert found.alpha is None or isclose(found.alpha, 1 - apart / chance, abs_tol=1e-9)


@given(grades)
def test_two_people_are_alike(given: list[tuple[int, int]]) -> None:
    one, other = two(given)
    forth, back = agreement(one, other), agreement(other, one)
    for name in ("same", "kappa", "weighted_kappa", "alpha"):
        first, second = getattr(forth, name), getattr(back, name)
        assert first == second == None or isclose(first, second, abs_tol=1e-9)  # noqa: E711
    whole = agreement(one, one)
    assert whole.same == 1
    assert {whole.kappa, whole.weighted_kappa, whole.alpha} <= {1.0, None}
    assert whole.disagreed == []


def test_the_table_names_what_was_judged_differently() -> None:
    first = {**labels([0, 1, 3, 2]), ("q", "mine"): Label("q", "mine", 1)}
    second = labels([0, 3, 0, 2])
    text = agreement(first, second).to_text(shown=1)
    assert "pairs judged by both   4" in text
    assert "by one alone           1 and 0" in text
    assert "same grade             50.0%" in text
    assert "'q' 'd2': 3 and 0\n  and 1 more" in text
    assert agreement(first, second).disagreed == [("q", "d2", 3, 0), ("q", "d1", 1, 3)]
    assert "undefined" in agreement(labels([1, 1]), labels([1, 1])).to_text()


def test_no_pair_in_common_is_an_error() -> None:
    with pytest.raises(InvalidRequestError, match="no pair in common"):
        agreement(labels([1]), {("q", "other"): Label("q", "other", 1)})
