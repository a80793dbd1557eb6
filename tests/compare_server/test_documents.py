"""Documents that a server loses, repeats, caps, refuses or reads in part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from compare_server.planted import Planted, compared, differing, documents, found, said, served
from remote.loopback import Reply, changed, failing

from resift import Reranker
from resift.protocols import WireRequest, WireResponse


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda results: results[:-1], "missing"),
        (lambda results: [*results, results[-1]], "more than once"),
        (lambda results: [*results, {**results[-1], "index": 99}], "out of range"),
    ],
)
def test_lost_and_repeated_documents_are_told(
    change: Callable[[list[Any]], list[Any]], words: str, small: Reranker
) -> None:
    def only_whole(body: Any) -> Any:
        results = body["results"]
        return {**body, "results": change(results) if len(results) > 3 else results}

    with served("cohere", Planted(small)) as server:
        server.always = changed(only_whole)
        report = compared(server, small)
    assert differing(report) == {"documents"}, report.to_text()
    assert words in found(report, "documents").evidence["faults"][0]


@pytest.mark.parametrize(("shape", "status"), [("tei", "same"), ("jina", "differs")])
def test_an_ignored_top_n_is_told(shape: str, status: str, small: Reranker) -> None:
    def ranks(request: WireRequest) -> WireResponse:
        return Planted(small)(replace(request, top_n=None))

    with served(shape, ranks) as server:
        report = compared(server, small)
    assert said(report, "top_n") == "top_n=3 gives 16 documents"
    assert report.status == status
    assert differing(report) == ({"top_n"} if status == "differs" else set())


@pytest.mark.parametrize(("shape", "verdict"), [("tei", "note"), ("cohere", "differs")])
def test_a_cap_on_documents_is_told(shape: str, verdict: str, small: Reranker) -> None:
    def answered(reply: Reply) -> Reply:
        return failing(shape, 422)(reply) if len(documents(reply.asked)) > 32 else reply

    with served(shape, Planted(small)) as server:
        server.always = answered
        report = compared(server, small)
    assert found(report, "many").verdict == verdict
    assert differing(report) == ({"many"} if verdict == "differs" else set())


def test_a_refused_empty_document_is_told(small: Reranker) -> None:
    with served("jina", Planted(small)) as server:
        server.always = lambda reply: (
            failing("jina", 400)(reply) if "" in documents(reply.asked) else reply
        )
        report = compared(server, small)
    assert differing(report) == {"odd texts"}
    assert "empty document" in said(report, "odd texts")


def test_dropped_characters_are_told(small: Reranker) -> None:
    def ascii_alone(text: str) -> str:
        return text.encode("ascii", "ignore").decode()

    with served("jina", Planted(small, cut=ascii_alone)) as server:
        report = compared(server, small)
    assert "odd texts" in differing(report), report.to_text()
    assert {"emoji", "Chinese"} & found(report, "odd texts").evidence.keys()
