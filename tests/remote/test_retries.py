"""A server that refuses, is overloaded or breaks off: what is asked for again, and what isn't."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from remote.faults import KEY, ranked
from remote.loopback import Loopback, Reply, TestClock, failing, serve

from resift import RemoteError, RemoteUnavailableError


@pytest.mark.parametrize("status", [429, 503])
def test_overloaded_servers_are_asked_again(server: Loopback, status: int) -> None:
    clock = TestClock()
    server.faults = [failing(server.shape, status, Retry_After="2"), failing(server.shape, status)]
    assert ranked(server, clock=clock) == [0, 2, 1]
    assert len(server.bodies) == 3
    assert 2.0 <= clock.slept[0] <= 2.25
    assert 0.0 <= clock.slept[1] <= 0.5
    assert server.headers[2]["authorization"] == f"Bearer {KEY}"


def test_retry_after_may_be_a_date(tei: Loopback) -> None:
    clock = TestClock()
    date = formatdate(time.time() + 30, usegmt=True)
    tei.faults = [failing("tei", 503, Retry_After=date), failing("tei", 503, Retry_After="soon")]
    ranked(tei, clock=clock)
    assert 28 <= clock.slept[0] <= 30.25
    assert clock.slept[1] <= 0.5


def test_a_long_wait_is_left_to_the_caller(tei: Loopback) -> None:
    tei.always = failing("tei", 429, "full", Retry_After="3600")
    clock = TestClock()
    with pytest.raises(RemoteUnavailableError, match="429") as raised:
        ranked(tei, clock=clock)
    assert (raised.value.retry_after, raised.value.status, clock.slept) == (3600.0, 429, [])


def test_attempts_come_to_an_end(server: Loopback) -> None:
    server.always = failing(server.shape, 503, "loading")
    with pytest.raises(RemoteUnavailableError, match=r"503.*loading") as raised:
        ranked(server, clock=TestClock(), attempts=2)
    assert len(server.bodies) == 2
    assert raised.value.server == server.url.removeprefix("http://")
    assert raised.value.server in str(raised.value)


PERMANENT = {
    **dict.fromkeys(("tei", "resift"), (400, 401, 413, 422)),
    **dict.fromkeys(("cohere", "cohere-v1"), (400, 401, 403, 404, 422, 498, 499)),
    **dict.fromkeys(("jina", "voyage", "infinity", "vllm", "vllm-score"), (400, 401, 422)),
}


@pytest.mark.parametrize(
    ("shape", "status"),
    [(shape, status) for shape, statuses in PERMANENT.items() for status in statuses]
    + [("tei", 424), ("openai-listwise", 404), ("weaviate", 400), ("kserve-v2", 500)],
)
def test_refusals_are_final(shape: str, status: int) -> None:
    with serve(shape) as server:
        server.always = failing(shape, status, "no such thing")
        with pytest.raises(RemoteError, match=f"{status}.*no such thing") as raised:
            ranked(server)
        assert not isinstance(raised.value, RemoteUnavailableError)
        assert (len(server.bodies), raised.value.status) == (1, status)


def test_redirects_are_not_followed(server: Loopback) -> None:
    server.always = lambda _: Reply(b"", 307, {"Location": "http://127.0.0.1:9/rerank"})
    with pytest.raises(RemoteError, match=r"redirects.*url="):
        ranked(server)
    assert len(server.bodies) == 1


def test_an_answer_that_breaks_off_is_asked_for_again(server: Loopback) -> None:
    def cut(reply: Reply) -> Reply:
        return Reply(reply.body, sent=len(reply.body) // 2)

    server.faults = [cut]
    assert ranked(server, clock=TestClock()) == [0, 2, 1]
    server.always = cut
    with pytest.raises(RemoteUnavailableError, match="broke off"):
        ranked(server, clock=TestClock())
