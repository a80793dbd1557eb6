"""A server that fails: what is tried again, what isn't, and what is never shown."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import pickle
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any

import pytest
from protocols.strategies import SHAPES
from remote.loopback import Fault, Loopback, Reply, TestClock, changed, failing, serve
from remote.test_remote import order, remote

from resift import InvalidRequestError, RemoteError, RemoteUnavailableError, Reranker, ResiftError
from resift.options import RankOptions
from resift.protocols import Limits
from resift.request import Request
from resift.scoring import Call, Remote
from resift.scoring.remote.breaker import Breaker
from resift.scoring.remote.secret import Secret

KEY = "sk-1234567890abcdef"
QUERY = "what does the treasurer earn"
TEXTS = ["3", "1", "2"]
NAMES = [shape.name for shape in SHAPES]


@pytest.fixture(params=NAMES)
def server(request: pytest.FixtureRequest) -> Iterator[Loopback]:
    with serve(request.param) as loopback:
        yield loopback


@pytest.fixture
def tei() -> Iterator[Loopback]:
    with serve("tei") as loopback:
        yield loopback


def ranked(server: Loopback, **options: Any) -> list[int]:
    return order(Reranker(scorer=remote(server, key=KEY, **options)).rank(QUERY, TEXTS))


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


GARBAGE: list[Fault] = [
    lambda _: Reply(b"<html>Welcome</html>"),
    lambda _: Reply(b""),
    lambda _: Reply(b"\xff\xfe\x00"),
    lambda _: Reply(b"[" * 100_000),
    lambda _: Reply(b'{"results": "none"}'),
    lambda _: Reply(b"[1, 2]"),
    lambda _: Reply(b"null"),
    lambda _: Reply(b"not gzip", headers={"Content-Encoding": "gzip"}),
    lambda _: Reply(b"{}", 204, {"Content-Length": "0"}),
]


@pytest.mark.parametrize("fault", GARBAGE)
def test_garbage_is_an_error(server: Loopback, fault: Fault) -> None:
    server.always = fault
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1"):
        ranked(server, clock=TestClock())


def _items(said: Any) -> list[Any]:
    """The list of scores in an answer, whatever its shape."""
    if isinstance(said, list):
        return said
    if "outputs" in said:
        (output,) = said["outputs"]
        return output["data"]  # type: ignore[no-any-return]
    if "rankings" in said:
        said = said["rankings"][0]
    return next(said[name] for name in ("results", "data", "scores") if name in said)


def _set(place: int, **values: Any) -> Callable[[Any], Any]:
    def change(said: Any) -> Any:
        item = _items(said)[place]
        if isinstance(item, float):
            (_items(said)[place],) = values.values()
            return said
        for name, value in values.items():
            keys = [each for each in item if name in each or (name == "score" and each == "logit")]
            for key in keys:
                item[key] = value
        return said

    return change


def _without(said: Any) -> Any:
    del _items(said)[1]
    return said


def _twice(said: Any) -> Any:
    items = _items(said)
    items.append(items[0])
    return said


WRONG: dict[str, Callable[[Any], Any]] = {
    "another index": _set(0, index=1),
    "an index out of range": _set(0, index=3),
    "an index below 0": _set(0, index=-1),
    "an index that is a string": _set(0, index="0"),
    "an index that is a bool": _set(0, index=True),
    "no index": _set(0, index=None),
    "NaN": _set(0, score=float("nan")),
    "infinity": _set(0, score=float("inf")),
    "a score that is a string": _set(0, score="0.5"),
    "one twice": _twice,
    "one missing": _without,
}


@pytest.mark.parametrize(
    ("shape", "wrong"),
    [
        (shape, wrong)
        for shape in NAMES
        for wrong in WRONG
        # The one has no scores, the others no indices.
        if shape != "openai-listwise"
        and not (shape in ("weaviate", "kserve-v2") and "index" in wrong)
    ],
)
def test_answers_are_checked(shape: str, wrong: str) -> None:
    with serve(shape) as server:
        server.always = changed(WRONG[wrong])
        with pytest.raises(RemoteError, match="can't be relied on"):
            ranked(server, clock=TestClock())
        assert len(server.bodies) == 1


def test_a_large_number_is_no_logit(tei: Loopback) -> None:
    tei.always = changed(_set(0, score=1e300))
    with pytest.raises(ResiftError):
        ranked(tei)


def _write(content: str) -> Fault:
    def write(said: Any) -> Any:
        said["choices"][0]["message"]["content"] = content
        return said

    return changed(write)


def test_orders_are_repaired_and_counted() -> None:
    with serve("openai-listwise") as server:
        server.faults = [_write("[3] > [3] > [7]")]
        reranker = Reranker(scorer=remote(server))
        ranking = reranker.rank(QUERY, TEXTS)
        assert order(ranking) == [2, 0, 1]
        assert ranking.counts.repairs == 4
        server.always = _write("I would rather not.")
        with pytest.raises(RemoteError, match="order"):
            reranker.rank(QUERY, TEXTS)


def test_a_silent_server_times_out(server: Loopback) -> None:
    def hold(reply: Reply) -> Reply:
        server.ended.wait(5)
        return reply

    server.always = hold
    with pytest.raises(RemoteUnavailableError, match=r"within 0\.05 s"):
        ranked(server, timeout=0.05, attempts=1)


def test_a_server_that_drips_times_out(tei: Loopback) -> None:
    tei.always = lambda reply: Reply(reply.body * 20, drip=0.02)
    with pytest.raises(RemoteUnavailableError, match=r"within 0\.1 s"):
        ranked(tei, timeout=0.1, attempts=1)


def test_a_body_that_never_comes_times_out(tei: Loopback) -> None:
    tei.always = lambda reply: Reply(reply.body, headers={"Content-Length": "9999"})
    with pytest.raises(RemoteUnavailableError, match="within"):
        ranked(tei, timeout=0.05, attempts=1)


def test_what_a_server_says_about_itself_is_not_waited_for(
    tei: Loopback, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("resift.scoring.remote.server._ABOUT", 0.05)
    tei.silent = True
    assert ranked(tei) == [0, 2, 1]
    assert "nothing about itself within 0.05 s" in caplog.text


def test_nobody_there() -> None:
    with serve("tei") as gone:
        pass
    with pytest.raises(RemoteUnavailableError, match="can't be reached"):
        ranked(gone, clock=TestClock())


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


def test_what_is_not_there_in_time_follows_without_a_score(tei: Loopback) -> None:
    def hold(reply: Reply) -> Reply:
        if reply.asked["texts"] == ["2"]:
            tei.ended.wait(5)
        return reply

    tei.always = hold
    scorer = remote(tei, limits=Limits(documents=1), concurrency=1)
    reranker = Reranker(scorer=scorer)
    reranker.warm_up()
    started = time.monotonic()
    ranking = reranker.rank(QUERY, TEXTS, deadline_ms=300)
    assert time.monotonic() - started < 2.0
    assert ranking.status == "partial"
    assert [(each.index, each.logit) for each in ranking] == [(0, 3.0), (1, 1.0), (2, None)]
    assert (ranking.counts.scored, ranking.counts.pairs) == (2, 2)


def test_nothing_more_is_sent_after_the_deadline() -> None:
    with serve("openai-listwise") as server:

        def hold(reply: Reply) -> Reply:
            time.sleep(0.3)
            return reply

        server.always = hold
        reranker = Reranker(scorer=remote(server, window=2, step=1))
        ranking = reranker.rank(QUERY, TEXTS, deadline_ms=100)
        assert [(each.index, each.score) for each in ranking] == [(0, None), (1, None), (2, None)]
        assert (ranking.status, ranking.counts.scored) == ("partial", 0)
        _join_threads()
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
    _join_threads()
    assert len(tei.bodies) == 1


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


def test_a_resift_server_is_told_the_deadline() -> None:
    with serve("resift") as server:

        def late(said: Any) -> Any:
            (ranking,) = said["rankings"]
            ranking["status"] = "partial"
            ranking["counts"]["scored"] = 2
            ranking["results"][-1].update(score=None, logit=None, posterior=None)
            return said

        server.faults = [changed(late)]
        ranking = Reranker(scorer=remote(server)).rank(QUERY, TEXTS, deadline_ms=5_000)
        assert 4_000 < server.bodies[0]["deadline_ms"] <= 5_000
        assert [(each.index, each.logit) for each in ranking] == [(0, 3.0), (2, 2.0), (1, None)]
        assert ranking.status == "partial"


def test_a_wait_beyond_the_deadline_is_not_begun(tei: Loopback) -> None:
    tei.always = failing("tei", 503, Retry_After="5")
    clock = TestClock()
    reranker = Reranker(scorer=remote(tei, clock=clock))
    with pytest.raises(RemoteUnavailableError, match="503"):
        reranker.rank(QUERY, TEXTS, deadline_ms=3_000)
    assert clock.slept == []


def test_the_first_stages_order_stands_where_that_is_asked_for(tei: Loopback) -> None:
    tei.always = failing("tei", 400, f"bad {KEY}")
    reranker = Reranker(scorer=remote(tei, key=KEY), on_error="first_stage")
    ranking = reranker.rank(QUERY, TEXTS)
    assert [(each.index, each.score) for each in ranking] == [(0, None), (1, None), (2, None)]
    assert ranking.status == "fallback"
    assert ranking.error is not None
    assert "RemoteError" in ranking.error
    assert KEY not in ranking.error


SHOWING: dict[str, Fault] = {
    "its key": failing("tei", 400, f"bad key {KEY}"),
    "a part of it": failing("tei", 401, f"bad key {KEY[:12]}..."),
    "the query": failing("tei", 422, f"too long: {QUERY}"),
    "a part of the query": failing("tei", 422, f"too long: ...{QUERY[5:20]}..."),
    "overloaded": failing("tei", 429, f"queue full for {QUERY} with {KEY}", Retry_After="999"),
    "garbage": lambda _: Reply(f"<html>{KEY} {QUERY}</html>".encode()),
    "cut": lambda reply: Reply(reply.body, sent=3),
    "redirect": lambda _: Reply(b"", 302, {"Location": "http://127.0.0.1:9/"}),
    "wrong": changed(_set(0, index=9)),
}


@pytest.mark.parametrize("fault", SHOWING)
def test_nothing_shows_the_key_or_the_query(
    tei: Loopback, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger().setLevel(logging.DEBUG)
    scorer = remote(tei, key=KEY, clock=TestClock(), attempts=2)
    tei.always = SHOWING[fault]
    with pytest.raises(RemoteError) as raised:
        Reranker(scorer=scorer).rank(QUERY, TEXTS)
    error = raised.value
    shown = io.StringIO()
    shown.write(f"{error} {error!r} {error.__dict__} {caplog.text} {scorer!r}")
    chain: BaseException | None = error
    while chain is not None:
        shown.write(f"{chain!r} {vars(chain)}")
        chain = chain.__cause__ or chain.__context__
    assert KEY[:8] not in shown.getvalue()
    assert QUERY[5:20] not in shown.getvalue()
    # With the variables of every frame of ours and of the libraries, as error trackers keep them.
    whole = "".join(
        traceback.TracebackException.from_exception(error, capture_locals=True).format()
    )
    ours = whole[whole.index("scoring/remote") :]
    assert KEY not in ours
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.server, again.status) == (str(error), error.server, error.status)


def test_nothing_that_is_kept_has_the_key(tei: Loopback) -> None:
    scorer = remote(tei, key=KEY)
    reranker = Reranker(scorer=scorer)
    reranker.rank(QUERY, TEXTS)
    for each in (repr(scorer), repr(reranker), str(reranker.options), repr(vars(scorer))):
        assert KEY not in each
    assert KEY.encode() not in pickle.dumps(scorer)
    assert KEY.encode() not in pickle.dumps(reranker)
    assert pickle.loads(pickle.dumps(Secret(KEY))).header() == {}


def test_a_key_may_be_a_function(tei: Loopback) -> None:
    keys = iter(["first", "second", "not sendable\n"])
    scorer = Remote(tei.url, protocol="tei", key=lambda: next(keys), limits=Limits(documents=3))
    tei.about = {"model_type": {"reranker": {}}}
    # Of these, one goes with the question about itself.
    Reranker(scorer=scorer).rank(QUERY, TEXTS)
    assert tei.headers[0]["authorization"] == "Bearer second"
    with pytest.raises(InvalidRequestError, match="isn't shown") as raised:
        Reranker(scorer=scorer).rank(QUERY, TEXTS)
    assert "sendable" not in str(raised.value)


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
        _join_threads()
        assert len(server.bodies) <= 4


def test_json_that_is_too_large_is_refused(tei: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resift.scoring.remote.server._LARGEST", 1000)
    tei.always = lambda _: Reply(json.dumps(["x" * 2000]).encode())
    with pytest.raises(RemoteError, match="more than 1000 bytes"):
        ranked(tei)


def test_threads_end_with_their_call(tei: Loopback) -> None:
    ranked(tei, limits=Limits(documents=1))
    _join_threads()


def _join_threads() -> None:
    for each in threading.enumerate():
        if "resift-remote" in each.name:
            each.join(5)
            assert not each.is_alive()
