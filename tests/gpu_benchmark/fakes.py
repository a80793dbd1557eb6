"""Time that passes when a test says so, and words for tokens."""

from __future__ import annotations


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def words(query: str, document: str) -> int:
    """Count the tokens of a pair, four of them around it."""
    return 4 + sum(1 + len(each) // 5 for each in f"{query} {document}".split())
