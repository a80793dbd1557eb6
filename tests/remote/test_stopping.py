"""Calls that end early, at a deadline or with an error: nothing more is sent, or waited for."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from remote.calling import remote
from remote.faults import QUERY, TEXTS, ranked
from remote.loopback import Loopback, Reply, TestClock, changed, failing, serve

from resift import RemoteError, RemoteUnavailableError, Reranker
from resift.options import RankOptions
from resift.protocols import Limits
from resift.request import Request
from resift.scoring import Call


def test_what_is_not_there_in_time_follows_without_a_score(tei: Loopback) -> None:
    def hold(reply: Reply) -> Reply:
        if reply.asked["texts"] == ["2"]:
            tei.ended.wait(30)
        return reply

    tei.always = hold
    scorer = remote(tei, limits=Limits(documents=1), concurrency=1)
    reranker = Reranker(scorer=scorer)
    reranker.warm_up()
    started = time.monotonic()
    ranking = reranker.rank(QUERY, TEXTS, deadline_ms=1_500)
    assert time.monotonic() - started < 15
    assert ranking.status == "partial"
    assert [(each.index, each.logit) for each in ranking] == [(0, 3.0), (1, 1.0), (2, None)]
    assert (ranking.counts.scored, ranking.counts.pairs) == (2, 2)


@pytest.mark.parametrize(
    "why", ["resift: time was up before 3 of 3 texts were scored", "Request timeout expired"]
)
def test_a_server_that_says_first_that_time_is_up_is_late(why: str) -> None:
    with serve("kserve-v2") as server:
        reranker = Reranker(scorer=remote(server, attempts=1))
        reranker.warm_up()
        server.always = failing("kserve-v2", 503, why)
        # More often than a broken server is asked.
        for _ in range(6):
            ranking = reranker.rank(QUERY, TEXTS, deadline_ms=60_000)
            assert ranking.status == "partial"
            assert [(each.index, each.logit) for each in ranking] == [(n, None) for n in range(3)]
        # A time-out that isn't the call's is an error, and so is a queue that is full.
        with pytest.raises(RemoteUnavailableError, match=why):
            reranker.rank(QUERY, TEXTS)
        server.always = failing("kserve-v2", 503, "Exceeds maximum queue size")
        with pytest.raises(RemoteUnavailableError, match="queue"):
            reranker.rank(QUERY, TEXTS, deadline_ms=60_000)


def test_nothing_more_is_sent_after_the_deadline() -> None:
    with serve("openai-listwise") as server:

        def hold(reply: Reply) -> Reply:
            time.sleep(1.5)
            return reply

        server.always = hold
        reranker = Reranker(scorer=remote(server, window=2, step=1))
        ranking = reranker.rank(QUERY, TEXTS, deadline_ms=1_000)
        assert [(each.index, each.score) for each in ranking] == [(0, None), (1, None), (2, None)]
        assert (ranking.status, ranking.counts.scored) == ("partial", 0)
        join_threads()
        assert len(server.bodies) == 1


def test_a_call_that_is_cancelled_while_it_waits_sends_nothing_more(tei: Loopback) -> None:
    cancelled = threading.Event()

    class Cancelling(TestClock):
        def sleep(self, seconds: float, woken: threading.Event) -> None:
            cancelled.set()
            super().sleep(seconds, woken)

    tei.always = failing("tei", 503)
    scorer = remote(tei, clock=Cancelling())
    with pytest.raises(asyncio.CancelledError):
        scorer.score([Request.of(QUERY, TEXTS)], Call.of(RankOptions(), cancelled=cancelled))
    join_threads()
    assert len(tei.bodies) == 1


def test_a_resift_server_is_told_the_deadline() -> None:
    with serve("resift") as server:

        def late(said: Any) -> Any:
            (ranking,) = said["rankings"]
            ranking["status"] = "partial"
            ranking["counts"]["scored"] = 2
            ranking["results"][-1].update(score=None, logit=None, posterior=None)
            return said

        server.faults = [changed(late)]
        ranking = Reranker(scorer=remote(server)).rank(QUERY, TEXTS, deadline_ms=60_000)
        assert 30_000 < server.bodies[0]["deadline_ms"] <= 60_000
        assert [(each.index, each.logit) for each in ranking] == [(0, 3.0), (2, 2.0), (1, None)]
        assert ranking.status == "partial"


def test_a_wait_beyond_the_deadline_is_not_begun(tei: Loopback) -> None:
    tei.always = failing("tei", 503, Retry_After="5")
    clock = TestClock()
    reranker = Reranker(scorer=remote(tei, clock=clock))
    with pytest.raises(RemoteUnavailableError, match="503"):
        reranker.rank(QUERY, TEXTS, deadline_ms=3_000)
    assert clock.slept == []


def test_one_error_stops_the_other_requests(tei: Loopback) -> None:
    tei.always = failing("tei", 400)
    scorer = remote(tei, limits=Limits(documents=1), concurrency=1)
    with pytest.raises(RemoteError):
        Reranker(scorer=scorer).rank(QUERY, map(str, range(50)))
    assert len(tei.bodies) < 5


def test_an_error_stops_other_queries_too() -> None:
    with serve("openai-listwise") as server:
        refuse = failing("openai-listwise", 400)

        def one_of_two(reply: Reply) -> Reply:
            if "unwanted" in str(reply.asked):
                return refuse(reply)
            time.sleep(0.1)
            return reply

        server.always = one_of_two
        reranker = Reranker(scorer=remote(server, window=2, step=1))
        texts = [str(number) for number in range(30)]
        with pytest.raises(RemoteError):
            reranker.rank_many([(QUERY, texts), ("unwanted", TEXTS)])
        join_threads()
        assert len(server.bodies) <= 4


def test_threads_end_with_their_call(tei: Loopback) -> None:
    ranked(tei, limits=Limits(documents=1))
    join_threads()


def join_threads() -> None:
    for each in threading.enumerate():
        if "resift-remote" in each.name:
            each.join(5)
            assert not each.is_alive()
