"""Servers that can't be compared, or answer too late."""

from __future__ import annotations

from dataclasses import replace

import pytest
from compare_server.planted import Planted, compared, documents, found, said, served
from remote.loopback import Fault, Reply, changed, failing, serve

from resift import Reranker
from resift.compare import compare_server

UNUSABLE: dict[str, tuple[Fault, str]] = {
    "wrong key": (failing("jina", 401, "invalid key"), "status 401"),
    "no such route": (failing("jina", 404), "status 404"),
    "garbage": (lambda reply: Reply(b"<html>hello</html>"), "can't be read"),
    "another shape": (lambda reply: Reply(b"[1, 2]"), "must be an object"),
    "busy": (failing("jina", 429), "can't be asked"),
    "broken off": (lambda reply: Reply(reply.body, sent=5), "broke off"),
    "no scores": (changed(lambda body: {**body, "results": []}), "no finite score"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_compared_is_said(name: str, small: Reranker) -> None:
    fault, words = UNUSABLE[name]
    with served("jina", Planted(small)) as server:
        server.always = fault
        report = compared(server, small, key="hidden-key-of-mine")
    assert report.status == "unknown"
    assert words in said(report, "answer"), report.to_text()
    assert "hidden-key" not in report.to_text() + repr(report)
    assert len(server.bodies) == 1 or name == "no scores"


def test_a_server_that_is_down_is_said(small: Reranker) -> None:
    with serve("tei") as server:
        url = server.url
    report = compare_server(url, protocol="tei", reranker=small, timeout=2.0)
    assert report.status == "unknown"
    assert "can't be reached" in said(report, "answer")
    assert report.requests == 1


def test_one_slow_answer_leaves_the_rest(small: Reranker) -> None:
    def answered(reply: Reply) -> Reply:
        return replace(reply, drip=1.0) if len(documents(reply.asked)) > 32 else reply

    with served("tei", Planted(small)) as server:
        # So that all is in the cache, and only what is to be late is.
        compared(server, small)
        server.always = answered
        report = compared(server, small, timeout=6.0)
    assert found(report, "many").verdict == "unknown"
    assert report.status == "same"
