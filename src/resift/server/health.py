"""Whether the server can rank: found out by ranking, and not by having been started."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from resift.reranker import Reranker

_logger = logging.getLogger(__name__)

# Seconds that an answer is good for; longer, while nothing else is known.
_FRESH = 5.0
_STALE = 60.0
# Seconds that whoever asks waits, as Weaviate gives up after 0.5; and that a pair may take.
_PATIENCE = 0.4
_PROBE = 20.0
_PAIR = ("is it ready", ["It is ready."])


@dataclass(frozen=True, slots=True)
class State:
    """Whether requests can be ranked, and why not."""

    ready: bool
    reason: str = ""


class Health:
    """Ranks a pair with each model that has to be ready, when it is asked, and remembers it.

    ``rerankers`` are those models by the name that they are served under.
    """

    def __init__(self, rerankers: dict[str, Reranker]) -> None:
        self._rerankers = rerankers
        self.draining = False
        self._found = State(False, "the models are being loaded")
        self._at = -float("inf")
        self._probe: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Load the models, each by a first ranking; an error is kept for whoever asks."""
        await self._ask()

    async def state(self) -> State:
        """Whether it is ready, as of the last seconds."""
        if self.draining:
            return State(False, "the server is shutting down")
        if time.monotonic() - self._at > _FRESH:
            if self._probe is None or self._probe.done():
                self._probe = asyncio.create_task(self._ask())
            await asyncio.wait([self._probe], timeout=_PATIENCE)
        if time.monotonic() - self._at > _STALE and self._found.ready:
            return State(False, f"no pair was ranked for {_STALE:g} seconds")
        return self._found

    def forget(self) -> None:
        """Have the next one who asks find out again: a request has just failed."""
        self._at = min(self._at, time.monotonic() - _FRESH - 1)

    async def close(self) -> None:
        """Leave no task behind."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait([self._probe])

    async def _ask(self) -> None:
        for name, reranker in self._rerankers.items():
            problem = await self._problem(reranker)
            if problem is not None:
                if self._found.ready or self._at < 0:
                    _logger.error("the model %r can't rank: %s", name, problem)
                self._found = State(False, f"the model {name!r} can't rank: {problem}")
                break
        else:
            if not self._found.ready:
                _logger.info("ready")
            self._found = State(True)
        self._at = time.monotonic()

    async def _problem(self, reranker: Reranker) -> str | None:
        query, documents = _PAIR
        loaded = self._found.ready
        try:
            async with asyncio.timeout(_PROBE if loaded else None):
                ranking = await reranker.arank(query, documents, top_n=1, deadline_ms=1e9)
        except TimeoutError:
            return f"a pair wasn't ranked within {_PROBE:g} seconds"
        # Whatever it is, requests would meet it too.
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ranking.error


def required(rerankers: dict[str, Reranker], names: Sequence[str]) -> dict[str, Reranker]:
    """The rerankers of these names alone."""
    return {name: rerankers[name] for name in names}
