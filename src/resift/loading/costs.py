"""Seconds of work on this machine, learnt from the work that was done."""

from __future__ import annotations

import threading
from dataclasses import dataclass

# The weight of the newest measurement: some ten of them make the estimate.
_NEWEST = 0.2
# Mean deviations added to the mean: of measurements that spread normally, 9 in 10 take less.
_DEVIATIONS = 1.6


@dataclass(slots=True)
class _Estimate:
    mean: float
    deviation: float = 0.0

    def learn(self, value: float) -> None:
        self.deviation += _NEWEST * (abs(value - self.mean) - self.deviation)
        self.mean += _NEWEST * (value - self.mean)


class Costs:
    """Seconds that a forward pass, and the reading of texts, are likely to take. Thread-safe.

    Passes are told apart by their length and by their number of tokens, each to a power of 2: long
    pairs cost more by the token, and so do small passes. An unknown kind counts as the nearest one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._passes: dict[tuple[int, int], _Estimate] = {}
        self._character: _Estimate | None = None

    def learn_pass(self, pairs: int, length: int, seconds: float) -> None:
        """Learn from a pass over ``pairs`` pairs, each padded to ``length`` tokens."""
        value = seconds / (pairs * length)
        with self._lock:
            self._passes.setdefault(_kind(pairs, length), _Estimate(value)).learn(value)

    def of_pass(self, pairs: int, length: int) -> float:
        """Seconds that few passes of this shape exceed; 0 where nothing is known."""
        kind = _kind(pairs, length)
        with self._lock:
            if not self._passes:
                return 0.0
            nearest = min(self._passes, key=lambda known: _distance(known, kind))
            estimate = self._passes[nearest]
            return pairs * length * (estimate.mean + _DEVIATIONS * estimate.deviation)

    def learn_reading(self, characters: int, seconds: float) -> None:
        """Learn from texts of so many characters that were read."""
        if not characters:
            return
        value = seconds / characters
        with self._lock:
            if self._character is None:
                self._character = _Estimate(value)
            self._character.learn(value)

    def of_reading(self, characters: int) -> float:
        """Seconds that reading so many characters is likely to take; 0 where nothing is known."""
        with self._lock:
            return characters * self._character.mean if self._character else 0.0


def _kind(pairs: int, length: int) -> tuple[int, int]:
    return length.bit_length(), (pairs * length).bit_length()


def _distance(one: tuple[int, int], other: tuple[int, int]) -> int:
    # Length comes first: it decides how much attention costs.
    return 4 * abs(one[0] - other[0]) + abs(one[1] - other[1])
