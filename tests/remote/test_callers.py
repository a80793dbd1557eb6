"""Threads, forks, cancelled calls, cascades and copies that share a server."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from rankings import order
from remote.calling import TEXTS, remote
from remote.loopback import Loopback

from resift import Reranker
from resift.protocols import Limits
from resift.scoring import Cascade, Margin


def test_many_threads_share_connections(tei: Loopback) -> None:
    reranker = Reranker(scorer=remote(tei))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: order(reranker.rank("q", TEXTS)), range(40)))
    assert found == [order(reranker.rank("q", TEXTS))] * 40
    assert tei.connections <= 10


def test_a_fork_makes_connections_of_its_own(tei: Loopback) -> None:
    reranker = Reranker(scorer=remote(tei))
    expected = order(reranker.rank("q", TEXTS))
    before = tei.connections
    child = os.fork()
    if child == 0:
        os._exit(0 if order(reranker.rank("q", TEXTS)) == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert tei.connections > before
    assert order(reranker.rank("q", TEXTS)) == expected


def test_a_cancelled_call_sends_nothing_more(tei: Loopback) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def hold(reply: Any) -> Any:
        arrived.set()
        go_on.wait(5)
        return reply

    tei.faults = [hold]
    scorer = remote(tei, limits=Limits(documents=1), concurrency=1)

    async def main() -> None:
        task = asyncio.create_task(Reranker(scorer=scorer).arank("q", TEXTS))
        await asyncio.to_thread(arrived.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()

    asyncio.run(main())
    assert len(tei.bodies) <= 2


def test_a_cascade_may_end_far_away(tei: Loopback) -> None:
    from remote.loopback import Numbers

    reranker = Reranker(scorer=Cascade([Numbers(), remote(tei)], keep=[Margin(1.0)]))
    ranking = reranker.rank("q", TEXTS, top_n=2, prune="auto")
    assert order(ranking) == [1, 6]
    assert len(tei.bodies[0]["texts"]) == 3


def test_a_copy_is_an_equal_scorer_without_the_key(tei: Loopback) -> None:
    scorer = remote(tei, key="sk-secret", timeout=3.0, limits=Limits(documents=2))
    assert copy.deepcopy(scorer) is scorer
    again = pickle.loads(pickle.dumps(scorer))
    assert repr(again) == repr(scorer)
    assert "timeout=3.0" in repr(scorer)
    Reranker(scorer=again).rank("q", TEXTS)
    assert len(tei.bodies) == 4
    assert "authorization" not in tei.headers[0]
