"""Room for requests to a server, and when to come again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from server.limits.holding import Held
from server.running import PATIENCE, Serve, until

from resift.server.admission import Admission
from resift.server.refusals import RefusedError
from resift.server.settings import Limits


def test_a_request_without_room_is_told_when_to_come_again(serve: Serve, held: Held) -> None:
    client = serve(held, limits={"pairs": 3})
    with ThreadPoolExecutor(1) as callers:
        # Nothing is in work, so it is let in, whatever its size.
        first = callers.submit(client.post, "/rerank", json={"query": "q", "texts": ["1"] * 9})
        until(lambda: held.inside == 1)
        answer = client.post("/rerank", json={"query": "q", "texts": ["1"]})
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["error_type"] == "Overloaded"
        assert "9 pairs" in answer.json()["error"]
        held.let.set()
        assert first.result().status_code == 200
    assert client.post("/rerank", json={"query": "q", "texts": ["1"]}).status_code == 200


def test_a_client_that_leaves_is_not_worked_for(serve: Serve, held: Held) -> None:
    client = serve(held)
    with pytest.raises(httpx.ReadTimeout):
        client.post(
            "/rerank",
            json={"query": "q", "texts": ["1"]},
            timeout=httpx.Timeout(PATIENCE, read=1.0),
        )
    until(lambda: held.cancelled == 1)
    until(lambda: client.server.admission.pairs == 0)  # type: ignore[attr-defined]
    assert 'resift_refused_total{reason="dropped"} 1.0' in client.get("/metrics").text


def test_a_bucket_fills_up_in_a_minute() -> None:
    now = [0.0]
    admission = Admission(Limits(key_pairs_per_minute=60), clock=lambda: now[0])

    def ask(pairs: int) -> float | None:
        try:
            with admission.work(pairs, "ann"):
                return None
        except RefusedError as error:
            return error.retry_after

    assert ask(60) is None
    assert ask(1) == pytest.approx(1)
    now[0] = 30.0
    assert ask(30) is None
    assert ask(60) == pytest.approx(60)
    now[0] = 1000.0
    # More than a minute's worth is let in by a full bucket, and paid for later.
    assert ask(90) is None
    assert ask(1) == pytest.approx(31)


def test_waiting_is_told_by_the_speed_of_late() -> None:
    now = [0.0]
    admission = Admission(Limits(), clock=lambda: now[0])
    assert admission.seconds_for(100) == 1
    for _ in range(10):
        with admission.work(50, None):
            now[0] += 1
    assert admission.seconds_for(250) == pytest.approx(5, rel=0.2)
    assert admission.seconds_for(10**6) == 60
    now[0] += 100
    assert admission.seconds_for(100) == 1
