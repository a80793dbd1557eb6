"""A server that fails again and again is left alone for a while."""

from __future__ import annotations

import pytest
from rankings import order
from remote.calling import remote
from remote.faults import QUERY, TEXTS
from remote.loopback import Loopback, TestClock, failing, serve

from resift import RemoteUnavailableError, Reranker
from resift.scoring.remote.breaker import Breaker


def test_a_failing_server_is_left_alone(tei: Loopback, caplog: pytest.LogCaptureFixture) -> None:
    clock = TestClock()
    reranker = Reranker(scorer=remote(tei, clock=clock, attempts=3))
    tei.always = failing("tei", 503)
    for _ in range(2):
        with pytest.raises(RemoteUnavailableError, match="503"):
            reranker.rank(QUERY, TEXTS)
    # The fifth failure in a row, and no sixth.
    assert len(tei.bodies) == 5
    with pytest.raises(RemoteUnavailableError, match="isn't asked") as raised:
        reranker.rank(QUERY, TEXTS)
    assert raised.value.retry_after == pytest.approx(30, abs=1)
    assert len(tei.bodies) == 5
    assert "failed too often" in caplog.text
    clock.ahead += 31
    with pytest.raises(RemoteUnavailableError, match="503"):
        reranker.rank(QUERY, TEXTS)
    assert len(tei.bodies) == 6
    clock.ahead += 31
    tei.always = None
    assert order(reranker.rank(QUERY, TEXTS)) == [0, 2, 1]
    assert order(reranker.rank(QUERY, TEXTS)) == [0, 2, 1]


@pytest.mark.parametrize(("shape", "status"), [("tei", 429), ("kserve-v2", 503)])
def test_an_overloaded_server_is_not_broken(shape: str, status: int) -> None:
    with serve(shape) as server:
        reranker = Reranker(scorer=remote(server, clock=TestClock(), attempts=9))
        server.faults = [failing(shape, status)] * 8
        assert order(reranker.rank(QUERY, TEXTS)) == [0, 2, 1]


def test_one_request_at_a_time_tries_a_server_that_failed() -> None:
    clock = TestClock()
    breaker = Breaker(2, 30.0, clock.now)
    assert [breaker.failed(), breaker.wait(), breaker.failed()] == [False, 0.0, True]
    assert breaker.wait() > 29
    clock.ahead += 31
    assert breaker.wait() == 0.0
    assert breaker.wait() > 29
    breaker.succeeded()
    assert breaker.wait() == 0.0
