"""Forward passes: planned, joined and done; and how many may wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resift.errors import OverloadedError


@dataclass(frozen=True, slots=True)
class Pass:
    """A batch of one job: positions among its pairs, padded to ``length`` tokens."""

    pairs: Sequence[int]
    length: int

    @property
    def tokens(self) -> int:
        """Tokens with padding."""
        return len(self.pairs) * self.length


@dataclass(frozen=True, slots=True)
class Done:
    """A pass that ran: ``logits`` are ``float32 [pairs]``, ``length`` as it was padded."""

    pairs: Sequence[int]
    logits: NDArray[np.float32]
    length: int


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that may wait; a job that finds nothing waiting is always let in."""

    pairs: int
    tokens: int

    @classmethod
    def of(cls, pairs: int | None, tokens: int | None) -> Limits:
        """The limits given; ``None`` is more than a machine scores in a minute."""
        return cls(pairs or 100_000, tokens or 20_000_000)

    def check(self, name: str, waiting: int, more: int) -> None:
        """Pass what fits. Raises ``OverloadedError``, which says how much waits."""
        limit = getattr(self, name)
        if waiting and waiting + more > limit:
            raise OverloadedError(
                f"{waiting} {name} are waiting to be scored, and {more} more are beyond "
                f"max_queue_{name}={limit}. Nothing was scored: try again later, send less, or "
                "raise the limit"
            )


@dataclass(frozen=True, slots=True)
class Waiting:
    """The work that is queued."""

    pairs: int
    tokens: int
    """With padding."""
    running: int
    """Forward passes that run now."""


@dataclass(slots=True)
class Room:
    """The size of a pass that others may join."""

    pairs: int
    length: int
    budget: int

    @property
    def is_full(self) -> bool:
        """Whether not even one more pair fits."""
        return (self.pairs + 1) * self.length > self.budget

    def take(self, more: Pass) -> bool:
        """Make it larger by a pass, if that fits."""
        pairs, length = self.pairs + len(more.pairs), max(self.length, more.length)
        if pairs * length > self.budget:
            return False
        self.pairs, self.length = pairs, length
        return True
