"""A scorer that asks other actors: as the model here, in its logits, deadlines and errors."""

from __future__ import annotations

import asyncio
import pickle
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("ray")

from numbers_scorer import Numbers
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from resift_ray.deployed import Answer, Asked, Deployed, answered
from resift_ray.replicas import Pooled

from resift import (
    InvalidRequestError,
    ModelCalibration,
    NonFiniteScoreError,
    OverloadedError,
    RemoteUnavailableError,
    Reranker,
)
from resift.scoring import Cascade, Local, Scorer

TEXTS = ["3", "1", "2"]


class Response:
    """What Ray gives for a call: it can be awaited, and cancelled."""

    def __init__(self, handle: Handle, work: Callable[[], Any]) -> None:
        self._handle, self._work = handle, work

    def __await__(self) -> Any:
        return asyncio.to_thread(self._work).__await__()

    def cancel(self) -> None:
        self._handle.cancelled.set()


class Handle:
    """A pool of one scorer in this process. What is sent goes through pickle, as it does in Ray.

    It raises the ``errors`` first, and answers when it is let.
    """

    def __init__(self, scorer: Any, errors: Any = ()) -> None:
        self._scorer, self._errors = scorer, list(errors)
        self.answer, self.cancelled, self.let = self, threading.Event(), threading.Event()
        self.asked: list[Asked] = []
        self.let.set()

    def remote(self, asked: Asked) -> Response:
        self.asked.append(asked)

        def work() -> Any:
            if self._errors:
                raise self._errors.pop(0)
            assert self.let.wait(30)
            start = time.perf_counter()
            sent = pickle.loads(pickle.dumps(asked))
            found: Answer = answered(sent, self._scorer, self.cancelled, start)
            return pickle.loads(pickle.dumps(found))

        return Response(self, work)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    found = asyncio.new_event_loop()
    thread = threading.Thread(target=found.run_forever)
    thread.start()
    yield found
    found.call_soon_threadsafe(found.stop)
    thread.join()
    found.close()


def unavailable() -> list[Exception]:
    return [RayActorError(), DeploymentUnavailableError(None)]


def test_logits_order_and_stages_are_those_of_a_model_here(loop: Any) -> None:
    local = Local("resift-nano")
    query, texts = "sort a dictionary", ["Use sorted with a key.", "Bread rises.", "", "x " * 900]
    there = Reranker(scorer=Deployed(Handle(local), "nano", loop))
    here = Reranker(scorer=local)
    for options in ({}, {"max_length": 32}, {"long_documents": "windows"}, {"prune": "auto"}):
        expected, found = (each.rank(query, texts, **options) for each in (here, there))
        assert [x.logit for x in found] == [x.logit for x in expected]
        assert [x.index for x in found] == [x.index for x in expected]
        assert found.counts == expected.counts
        assert (found.model, found.revision) == (expected.model, expected.revision)
        assert [each.model for each in found.stages] == [each.model for each in expected.stages]
    assert there.cuts(query, texts) == here.cuts(query, texts)


def test_a_calibration_belongs_to_its_model_there_too(loop: Any) -> None:
    local = Local("resift-nano")
    identity = local.source.identity
    assert identity is not None
    digest = identity()
    deployed = Deployed(Handle(local), "nano", loop)
    own = ModelCalibration(
        kind="platt", slope=2.0, intercept=1.0, model="resift-nano", digest=digest
    )
    expected = Reranker(scorer=local, normalization=own).rank("q", TEXTS)
    found = Reranker(scorer=deployed, normalization=own).rank("q", TEXTS)
    assert [each.score for each in found] == [each.score for each in expected]


def test_the_rest_of_the_deadline_goes_along(loop: Any) -> None:
    handle = Handle(Numbers())
    reranker = Reranker(scorer=Deployed(handle, "numbers", loop))
    reranker.rank("q", TEXTS, deadline_ms=60_000)
    assert 30 < handle.asked[-1].seconds < 60
    reranker.rank("q", TEXTS)
    assert handle.asked[-1].seconds == float("inf")


class Noting(Numbers):
    """Notes the call that it is asked in."""

    def score(self, requests: Any, call: Any) -> Any:
        self.remaining, self.options = call.remaining, call.options
        return super().score(requests, call)


def test_there_the_call_has_that_deadline_and_those_options(loop: Any) -> None:
    scorer = Noting()
    reranker = Reranker(scorer=Deployed(Handle(scorer), "numbers", loop))
    reranker.rank("q", TEXTS, deadline_ms=60_000, max_length=77)
    assert 30 < scorer.remaining < 60
    assert scorer.options.max_length == 77


def test_what_is_late_is_late_and_given_up(loop: Any) -> None:
    handle = Handle(Numbers())
    handle.let.clear()
    reranker = Reranker(scorer=Deployed(handle, "numbers", loop))
    ranking = reranker.rank("q", TEXTS, deadline_ms=100)
    assert ranking.status == "partial"
    assert [each.logit for each in ranking] == [None] * 3
    assert handle.cancelled.wait(10)
    handle.let.set()


def test_a_caller_that_leaves_is_cancelled_there(loop: Any) -> None:
    handle = Handle(Numbers())
    handle.let.clear()
    reranker = Reranker(scorer=Deployed(handle, "numbers", loop))

    async def leave() -> None:
        task = asyncio.create_task(reranker.arank("q", TEXTS))
        while not handle.asked:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    assert handle.cancelled.wait(10)
    handle.let.set()


ERRORS = [
    InvalidRequestError("max_length is too small"),
    OverloadedError("too much"),
    NonFiniteScoreError(model="m", backend="b", query="q", indices=[1]),
    RemoteUnavailableError("gone", server="a:1", status=503, retry_after=2.0),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_of_the_engine_are_raised_here(error: Any, loop: Any) -> None:
    reranker = Reranker(scorer=Deployed(Handle(Numbers(error=error)), "numbers", loop))
    with pytest.raises(type(error), match=re.escape(str(error))) as caught:
        reranker.rank("q", TEXTS)
    assert caught.value is not error
    assert vars(caught.value) == vars(error)


def test_what_is_asked_of_a_dying_actor_is_asked_of_another(loop: Any) -> None:
    handle = Handle(Numbers(), unavailable())
    ranking = Reranker(scorer=Deployed(handle, "numbers", loop)).rank("q", TEXTS)
    assert [each.index for each in ranking] == [0, 2, 1]
    assert len(handle.asked) == 3


def test_where_there_is_no_actor_that_is_the_error(loop: Any) -> None:
    handle = Handle(Numbers(), [*unavailable(), RayActorError()])
    with pytest.raises(RemoteUnavailableError, match="no actor with 'numbers'"):
        Reranker(scorer=Deployed(handle, "numbers", loop)).rank("q", TEXTS)


def test_a_full_pool_is_overload(loop: Any) -> None:
    handle = Handle(Numbers(), [BackPressureError(num_queued_requests=1, max_queued_requests=1)])
    with pytest.raises(OverloadedError, match="'numbers'"):
        Reranker(scorer=Deployed(handle, "numbers", loop)).rank("q", TEXTS)


def test_it_is_a_part_of_cascades(loop: Any) -> None:
    parts: list[Scorer] = [Numbers(), Deployed(Handle(Numbers(scale=2.0)), "numbers", loop)]
    ranking = Reranker(scorer=Cascade(parts, keep=[2])).rank("q", TEXTS)
    assert [(each.index, each.logit) for each in ranking] == [(0, 6.0), (2, 4.0)]


class Waiting(Numbers):
    """Works until it is cancelled."""

    def score(self, requests: Any, call: Any) -> Any:
        while not call.is_cancelled:
            time.sleep(0.01)
        call.step(0, 1)


def test_an_actor_stops_what_is_cancelled() -> None:
    pooled = object.__new__(Pooled)
    scorer = Waiting()
    found = SimpleNamespace(find=lambda _name: SimpleNamespace(scorer=scorer))
    pooled.server = SimpleNamespace(models=found)  # type: ignore[assignment]
    options = Reranker(scorer=Noting())
    options.rank("q", TEXTS)
    noting = options.options["scorer"]
    asked = Asked("numbers", "score", ((),), noting.options, float("inf"))

    async def leave() -> None:
        task = asyncio.create_task(pooled.answer(asked))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with ThreadPoolExecutor(1) as pooled._threads:
        asyncio.run(asyncio.wait_for(leave(), 30))
