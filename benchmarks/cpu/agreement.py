"""How near one order of documents is to another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations


def kendall_tau(scores: Sequence[float], expected: Sequence[float]) -> float:
    """1 for the same order, -1 for the opposite; a tie counts as neither."""
    signs = [
        ((scores[a] > scores[b]) - (scores[a] < scores[b]))
        * ((expected[a] > expected[b]) - (expected[a] < expected[b]))
        for a, b in combinations(range(len(scores)), 2)
    ]
    # One document has but one order.
    return sum(signs) / len(signs) if signs else 1.0


def same_first_ten(scores: Sequence[float], expected: Sequence[float]) -> int:
    """How many of the ten best are among the ten best of the other."""
    return len(_first_ten(scores) & _first_ten(expected))


def _first_ten(scores: Sequence[float]) -> set[int]:
    return set(sorted(range(len(scores)), key=lambda index: -scores[index])[:10])
