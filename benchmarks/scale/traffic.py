"""When requests arrive: evenly, in bursts; and what one of them costs."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Traffic:
    """A Poisson process whose rate changes: `burst` times as high in bursts, and lower between.

    rate: requests a second, in the mean. burst: 1 is none.
    lasting, between: seconds of a burst, and from one to the next, exponential, in the mean.
    step: from this second on, the rate is `steps_to` times as high.
    """

    rate: float
    burst: float = 1.0
    lasting: float = 20.0
    between: float = 100.0
    step: float | None = None
    steps_to: float = 1.0

    def times(self, seconds: float, seed: int) -> Iterator[float]:
        """Arrivals from 0 to `seconds`, in order."""
        generator = random.Random(f"traffic {seed}")
        share = self.lasting / (self.lasting + self.between)
        # So that the mean over bursts and the time between them is `rate`.
        low = self.rate / (1 + share * (self.burst - 1))
        at, bursting = 0.0, False
        until = generator.expovariate(1 / self.between)
        while True:
            rate = low * (self.burst if bursting else 1.0)
            if self.step is not None and at >= self.step:
                rate *= self.steps_to
            at_next = at + generator.expovariate(rate)
            if at_next >= until:
                # Without memory: what was drawn may be drawn again from here on.
                at, bursting = until, not bursting
                mean = self.lasting if bursting else self.between
                until = at + generator.expovariate(1 / mean)
            else:
                at = at_next
                if at >= seconds:
                    return
                yield at
            if at >= seconds:
                return


@dataclass(frozen=True)
class Stage:
    """What a request asks of a pool: one of the costs that were measured, in seconds of a core."""

    pool: str
    costs: Sequence[float]
    overhead: float = 0.0

    def draw(self, generator: random.Random) -> float:
        """The cost of one request."""
        return generator.choice(self.costs) + self.overhead
