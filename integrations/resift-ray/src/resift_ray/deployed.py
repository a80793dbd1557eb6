"""A scorer that asks a deployment of other actors, as if its model were here."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from resift import ModelCalibration
from resift.errors import OverloadedError, RemoteUnavailableError, ResiftError
from resift.scoring import Call, Request, Scored, Source

# Seconds between looks at whether the caller has left.
_LOOK = 0.02
# Seconds of the time left that are for the way there and back, and for which a late answer is
# waited for all the same.
_WAY, _GRACE = 0.01, 0.05
# Scoring changes nothing, so that what an actor had in work when it died is asked of another.
_ATTEMPTS = 3


class Handle(Protocol):
    """Ray's ``DeploymentHandle`` of a pool."""

    answer: Any


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to a pool: which method of a model's scorer, with what."""

    model: str
    method: str
    arguments: tuple[Any, ...]
    options: Any
    """Those of the call."""
    seconds: float
    """Until its deadline; infinity without one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a pool: what the method returned, or the error of the engine that it raised."""

    value: Any
    error: ResiftError | None
    source: Source
    identity: str | None
    """That of the source, where the call needs it."""

    @property
    def scored(self) -> list[Scored]:
        """The value of ``score``, each with its source as a model here would give it."""
        found: list[Scored] = self.value
        return [replace(each, source=self._told(each.source)) for each in found]

    def _told(self, source: Source) -> Source:
        return replace(source, identity=lambda: self.identity)


class Deployed:
    """The model ``model`` of the actors behind ``handle``, asked from the event loop ``loop``.

    Their deadline is what is left of the call's. A call that is cancelled is cancelled there, too.
    Their errors are raised here, and those of Ray as errors of the engine: ``OverloadedError``
    where too many requests wait, and ``RemoteUnavailableError`` where there is no actor.
    """

    def __init__(self, handle: Handle, model: str, loop: asyncio.AbstractEventLoop) -> None:
        self._handle, self._model, self._loop = handle, model, loop
        self._source = Source(model=model, backend="ray")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    @property
    def source(self) -> Source:
        """The origin of its logits, as of the last answer."""
        return self._source

    def score(self, requests: Sequence[Request], call: Call) -> list[Scored]:
        """Have an actor score every text, or those that there is time for."""
        texts = sum(len(each.texts) for each in requests)
        with call.watch.phase("infer"):
            call.step(0, texts)
            answer = self._ask(call, "score", tuple(requests))
        if answer is None:
            return [Scored.nothing(len(x.texts), self._source, late=True) for x in requests]
        call.step(texts, texts)
        return answer.scored

    def warm_up(self, call: Call) -> None:
        """Have an actor load what a call needs; they load it before they are asked anything."""
        self._ask(call, "warm_up")

    def cuts(self, request: Request, call: Call) -> list[int | None]:
        """Have an actor find where each text is cut; see ``Cutting``."""
        answer = self._ask(replace(call, deadline=None), "cuts", request)
        assert answer is not None
        found: list[int | None] = answer.value
        return found

    def _ask(self, call: Call, method: str, *arguments: Any) -> Answer | None:
        """An actor's answer; ``None`` where the deadline passes before."""
        seconds = call.remaining if call.remaining == math.inf else call.remaining - _WAY
        asked = Asked(self._model, method, arguments, call.options, seconds)
        future = asyncio.run_coroutine_threadsafe(self._answer(asked), self._loop)
        answer = _wait(future, call)
        if answer is None:
            return None
        self._source = answer.source
        if answer.error is not None:
            raise answer.error
        return answer

    async def _answer(self, asked: Asked) -> Answer:
        for attempt in range(_ATTEMPTS):
            response = self._handle.answer.remote(asked)
            try:
                found: Answer = await response
            except asyncio.CancelledError:
                response.cancel()
                raise
            except BackPressureError as error:
                raise OverloadedError(
                    f"too many requests wait for the actors with {self._model!r}: come again later"
                ) from error
            except (RayActorError, DeploymentUnavailableError) as error:
                if attempt + 1 == _ATTEMPTS:
                    raise RemoteUnavailableError(
                        f"no actor with {self._model!r} answered: {type(error).__name__}; what "
                        "Ray's dashboard or its logs say of that deployment tells why",
                        retry_after=1.0,
                    ) from error
            else:
                return found
        raise AssertionError

    def __repr__(self) -> str:
        return f"Deployed({self._model!r})"


def _wait(future: Future[Answer], call: Call) -> Answer | None:
    """The answer; ``None`` after the deadline. Raises ``CancelledError`` where the caller left."""
    while True:
        try:
            return future.result(min(_LOOK, max(0.0, call.remaining + _GRACE)))
        except FutureTimeoutError:
            # It may have been the call's own error.
            if future.done():
                return future.result()
        if call.is_cancelled or call.remaining + _GRACE <= 0:
            future.cancel()
            # Raises where it was cancelled.
            call.step(0, 0)
            return None


def answered(asked: Asked, scorer: Any, cancelled: threading.Event, start: float) -> Answer:
    """Do what is asked of a model's scorer, and make of it what can be sent.

    ``start``, by ``time.perf_counter``, is when it was asked.
    """
    deadline = None if asked.seconds == math.inf else start + asked.seconds
    call = replace(Call.of(asked.options, cancelled=cancelled), deadline=deadline)
    value: Any = None
    error, identity = None, None
    try:
        value = getattr(scorer, asked.method)(*asked.arguments, call)
    except ResiftError as raised:
        error = raised
    if asked.method == "score" and error is None:
        if isinstance(call.options.normalization, ModelCalibration):
            identity = next((x.source.identity() for x in value if x.source.identity), None)
        value = [replace(each, source=_plain(each.source)) for each in value]
    return Answer(value, error, _plain(scorer.source), identity)


def _plain(source: Source) -> Source:
    """A source without what leads to its model."""
    return replace(source, identity=None)
