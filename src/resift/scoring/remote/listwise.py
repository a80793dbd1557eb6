"""A sliding window over the documents, from the back, each put into order by a language model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from resift.protocols import WireResult

Ask = Callable[[list[int]], WireResult]
"""Takes the positions of a window's documents; returns the order of the window."""


@dataclass(frozen=True, slots=True)
class Order:
    """The order of all documents of a request."""

    places: list[int]
    """Positions of the documents, best first."""
    seen: list[int]
    """For each document, the number of windows that it was in."""
    repairs: int
    tokens: int


def windows(count: int, size: int, step: int) -> Iterator[tuple[int, int]]:
    """Ranges of ``size`` places from the back to the front, each ``step`` before the last."""
    stop = count
    while stop > 0:
        start = max(0, stop - size)
        yield start, stop
        if start == 0:
            return
        stop -= step


def pairs_in(count: int, size: int, step: int) -> int:
    """The number of documents in all windows together."""
    return sum(stop - start for start, stop in windows(count, size, step))


def slide(count: int, size: int, step: int, ask: Ask) -> Order:
    """Order ``count`` documents: the best of each window move on into the next."""
    places = list(range(count))
    seen = [0] * count
    repairs = tokens = 0
    for start, stop in windows(count, size, step):
        window = places[start:stop]
        result = ask(window)
        places[start:stop] = [window[each.index] for each in result.scores]
        for place in window:
            seen[place] += 1
        repairs += result.repairs
        tokens += result.tokens or 0
    return Order(places, seen, repairs, tokens)
