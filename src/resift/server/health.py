"""Whether the server can rank: found out by ranking, and not by having been started."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from resift.reranker import Reranker

_logger = logging.getLogger(__name__)

# Seconds that an answer is good for.
_FRESH = 5.0
# Seconds that whoever asks waits, as Weaviate gives up after 0.5.
_PATIENCE = 0.4
# Seconds that a pair may take, loading aside; and after how many such in a row the process is dead.
_PROBE = 20.0
_STUCK = 3
_PAIR = ("is it ready", ["It is ready."])


@dataclass(frozen=True, slots=True)
class State:
    """Whether requests can be ranked, and why not."""

    ready: bool
    reason: str = ""


class Health:
    """Ranks a pair with each model that has to be ready, when it is asked, and remembers it.

    ``rerankers`` are those models by the name that they are served under. ``done`` counts the
    requests that were ranked: while it grows, a pair that has to wait is no sign of a fault.
    """

    def __init__(self, rerankers: Mapping[str, Reranker], done: Callable[[], int]) -> None:
        self._rerankers, self._done = rerankers, done
        self.draining = False
        self._found = State(False, "the models are being loaded")
        self._at = -float("inf")
        self._has_been_ready = False
        self._stuck = 0
        self._probe: asyncio.Task[None] | None = None

    @property
    def names(self) -> list[str]:
        """The names of the models that have to be ready."""
        return list(self._rerankers)

    @property
    def is_alive(self) -> bool:
        """Whether the process may go on: it is dead where pairs get no answer, repeatedly."""
        return self._stuck < _STUCK

    def start(self) -> None:
        """Begin to load the models, each by a first ranking."""
        self._look()

    async def state(self) -> State:
        """Whether it is ready, as of the last seconds."""
        if self.draining:
            return State(False, "the server is shutting down")
        if time.monotonic() - self._at > _FRESH:
            await asyncio.wait([self._look()], timeout=_PATIENCE)
        return self._found

    def forget(self) -> None:
        """Have the next one who asks find out again: a request has just failed."""
        self._at = -float("inf")

    async def close(self) -> None:
        """Leave no task behind."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait([self._probe])

    def _look(self) -> asyncio.Task[None]:
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._ask())
        return self._probe

    async def _ask(self) -> None:
        state = State(True)
        for name, reranker in self._rerankers.items():
            problem = await self._problem(reranker)
            if problem is not None:
                state = State(False, f"the model {name!r} can't rank: {problem}")
                break
        if state != self._found:
            _logger.log(logging.INFO if state.ready else logging.ERROR, state.reason or "ready")
        self._found, self._at = state, time.monotonic()
        self._has_been_ready |= state.ready

    async def _problem(self, reranker: Reranker) -> str | None:
        query, documents = _PAIR
        before = self._done()
        try:
            # However long loading takes.
            async with asyncio.timeout(_PROBE if self._has_been_ready else None):
                # As if the call had no deadline, whatever the model's own is.
                ranking = await reranker.arank(query, documents, deadline_ms=1e9)
        except TimeoutError:
            if self._done() > before:
                return None
            self._stuck += 1
            return f"a pair wasn't ranked within {_PROBE:g} seconds, nor was anything else"
        # Whatever it is, requests would meet it too.
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        self._stuck = 0
        return ranking.error
