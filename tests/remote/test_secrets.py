"""Errors, logs and whatever is kept show neither the key nor the query."""

from __future__ import annotations

import io
import logging
import pickle
import traceback

import pytest
from remote.calling import remote
from remote.faults import KEY, QUERY, TEXTS, with_value
from remote.loopback import Fault, Loopback, Reply, TestClock, changed, failing

from resift import InvalidRequestError, RemoteError, Reranker
from resift.protocols import Limits
from resift.scoring import Remote
from resift.scoring.remote.secret import Secret


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
    "wrong": changed(with_value(0, index=9)),
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
