"""A server's life: it listens before it is ready, says whether it is, and drops nobody."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numbers_scorer import Numbers
from server.running import PATIENCE, Serve, process, readiness, until

from resift.server import health

ONE = {"query": "q", "texts": ["1"]}


class Gated(Numbers):
    """Answers anything, when it is let."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(error=error)
        self.let = threading.Event()
        self.busy = False
        self.asked_for = 0

    def score(self, requests: Any, call: Any) -> Any:
        self.asked_for += 1
        assert self.let.wait(30)
        if self.error is not None:
            raise self.error
        numbers = [each.only([False] * len(each.texts)) for each in requests]
        made = Numbers.score(self, numbers, call)
        return [self._all(one, each) for one, each in zip(made, requests, strict=True)]

    def _all(self, scored: Any, request: Any) -> Any:
        count = len(request.texts)
        return replace(
            scored,
            logits=np.zeros(count, np.float32),
            scored=np.ones(count, np.bool_),
            pairs=np.ones(count, np.int64),
            truncated_tokens=np.zeros(count, np.int64),
        )


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes health look again each time."""
    monkeypatch.setattr(health, "_FRESH", 0.0)


def test_it_answers_while_it_loads(serve: Serve) -> None:
    scorer = Gated()
    client = serve(scorer)
    assert client.get("/health/live").json() == {"status": "live"}
    for path in ("/health/ready", "/health", "/ping", "/.well-known/ready"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert "loaded" in answer.json()["error"]
        assert answer.headers["retry-after"] == "1"
    scorer.let.set()
    until(lambda: client.get("/health/ready").status_code == 200)
    assert "unix" in client.get("/health").json()
    assert client.get("/.well-known/ready").status_code == 204
    assert client.get("/.well-known/live").status_code == 204


@pytest.mark.usefixtures("at_once")
def test_a_model_that_cannot_score_is_not_ready_until_it_can(serve: Serve) -> None:
    scorer = Gated(error=OSError("the disk is gone"))
    scorer.let.set()
    client = serve(scorer)
    until(lambda: "disk is gone" in client.get("/health/ready").text)
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health/live").status_code == 200
    scorer.error = None
    until(lambda: client.get("/health/ready").status_code == 200)
    scorer.error = OSError("again")
    until(lambda: client.get("/health/ready").status_code == 503)


def test_an_error_in_work_is_looked_into(serve: Serve) -> None:
    scorer = Gated()
    scorer.let.set()
    client = serve(scorer)
    until(lambda: client.get("/health/ready").status_code == 200)
    before = scorer.asked_for
    assert client.get("/health/ready").status_code == 200
    # The answer of a moment ago is good enough.
    assert scorer.asked_for == before
    scorer.error = OSError("it broke")
    answer = client.post("/rerank", json={"query": "q", "texts": ["1"]})
    assert answer.status_code == 500
    assert "it broke" not in answer.text
    until(lambda: client.get("/health/ready").status_code == 503)


@pytest.mark.usefixtures("at_once")
def test_a_process_whose_workers_are_dead_is_not_alive(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_PROBE", 0.1)
    scorer = Gated()
    scorer.let.set()
    client = serve(scorer)
    until(lambda: client.get("/health/ready").status_code == 200)
    scorer.let.clear()
    until(lambda: client.get("/health/ready").status_code == 503)
    assert client.get("/health/live").status_code == 200
    until(lambda: client.get("/health/ready") and client.get("/health/live").status_code == 503)
    scorer.let.set()
    until(lambda: client.get("/health/ready").status_code == 200)
    assert client.get("/health/live").status_code == 200


@pytest.mark.usefixtures("at_once")
def test_a_server_that_is_only_busy_is_ready(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Gated):
        def score(self, requests: Any, call: Any) -> Any:
            if requests[0].texts == ("It is ready.",) and self.busy:
                time.sleep(2)
            return super().score(requests, call)

    scorer = Slow()
    scorer.let.set()
    client = serve(scorer)
    until(lambda: client.get("/health/ready").status_code == 200)
    monkeypatch.setattr(health, "_PROBE", 1.5)
    scorer.busy = True
    is_over = threading.Event()

    def work() -> None:
        while not is_over.is_set():
            body = {"query": "q", "texts": ["1"]}
            assert client.post("/rerank", json=body).status_code == 200

    with ThreadPoolExecutor(1) as callers:
        working = callers.submit(work)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            assert client.get("/health/ready").status_code == 200
        is_over.set()
        working.result(timeout=30)


def test_health_does_not_wait_for_a_slow_model(serve: Serve) -> None:
    client = serve(Gated())
    start = time.monotonic()
    assert client.get("/.well-known/ready").status_code == 503
    assert time.monotonic() - start < 5


def test_a_missing_model_is_said_by_health_and_by_requests() -> None:
    with process("--model", "/nowhere/at/all", ready=False) as server:
        until(lambda: "can't rank" in readiness(server).text)
        answer = httpx.post(f"{server.address}/rerank", json=ONE, timeout=PATIENCE)
        assert answer.status_code == 500
        assert answer.json()["error_type"] == "Backend"
        assert "nowhere" in answer.json()["error"]


TEXTS = [f"Document {number} about sorting dictionaries by value." for number in range(60)]


def ask(address: str, number: int) -> int:
    body = {"query": f"question {number}", "texts": TEXTS}
    answer = httpx.post(f"{address}/rerank", json=body, timeout=60)
    assert answer.status_code != 200 or len(answer.json()) == len(TEXTS)
    return answer.status_code


def test_no_accepted_request_is_lost_at_the_end(tmp_path: Path) -> None:
    config = tmp_path / "resift.toml"
    config.write_text(
        "[server]\ndrain_seconds = 2\nshutdown_seconds = 60\n"
        "[models.nano]\nmodel = 'resift-nano'\n",
        encoding="utf-8",
    )
    count = 100
    with process("--config", str(config)) as server, ThreadPoolExecutor(count) as callers:
        calls = [callers.submit(ask, server.address, number) for number in range(count)]

        def accepted() -> bool:
            text = httpx.get(f"{server.address}/metrics", timeout=60).text
            return "resift_requests_in_work 0.0" not in text

        until(accepted)
        time.sleep(0.5)
        server.send_signal(signal.SIGTERM)
        until(lambda: readiness(server).status_code == 503)
        late = httpx.post(f"{server.address}/rerank", json=ONE, timeout=PATIENCE)
        assert late.status_code == 503
        assert late.headers["retry-after"] == "1"
        assert late.headers["connection"] == "close"
        statuses = [call.result() for call in calls]
        # Those that came after the signal were told so; none was cut off.
        assert set(statuses) <= {200, 503}
        assert statuses.count(200) >= 1
        assert server.wait(60) == 0


def test_what_takes_too_long_is_given_up(tmp_path: Path) -> None:
    config = tmp_path / "resift.toml"
    config.write_text(
        "[server]\ndrain_seconds = 0\nshutdown_seconds = 1\nthreads = 1\n", encoding="utf-8"
    )
    texts = [f"{number} " + "a long text about much " * 100 for number in range(2000)]
    with process("--config", str(config)) as server, ThreadPoolExecutor(1) as callers:
        body = {"query": "q", "texts": texts}
        callers.submit(httpx.post, f"{server.address}/rerank", json=body, timeout=60)
        until(lambda: "in_work 1.0" in httpx.get(f"{server.address}/metrics", timeout=60).text)
        start = time.monotonic()
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        assert time.monotonic() - start < 20
    assert any("weren't done" in line for line in server.lines)


def test_a_terminals_interrupt_ends_it_at_once(tmp_path: Path) -> None:
    config = tmp_path / "resift.toml"
    config.write_text(
        "[server]\ndrain_seconds = 50\n[models.nano]\nmodel = 'resift-nano'\n", encoding="utf-8"
    )
    with process("--config", str(config)) as server:
        start = time.monotonic()
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0
        assert time.monotonic() - start < 25


def test_a_port_that_is_taken_is_an_error() -> None:
    with process("--model", "resift-nano") as server:
        port = server.address.rpartition(":")[2]
        with process("--port", port, ready=False) as other:
            assert other.wait(60) != 0
        assert port in "".join(other.lines)
