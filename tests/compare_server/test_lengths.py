"""Long queries and documents that a server cuts, reads further or refuses."""

from __future__ import annotations

import pytest
from compare_server.planted import Planted, compared, differing, documents, found, said, served
from remote.loopback import Fault, Reply, failing

from resift import Reranker
from resift.compare.pairs import MAIN, SECOND


@pytest.mark.parametrize(
    ("length", "words"), [(128, "between 80 and 160 words"), (256, "between 160 and 320 words")]
)
def test_truncation_is_told(length: int, words: str, small: Reranker) -> None:
    planted = Planted(small, options=(("max_length", length),))
    with served("jina", planted) as server:
        report = compared(server, small)
    # The engine cuts a query to half of the length.
    assert differing(report) == {"length", "query"}, report.to_text()
    assert words in said(report, "length")
    assert f"as with {length} tokens" in said(report, "length")
    assert "the query is cut" in said(report, "query")


def test_documents_that_are_cut_at_words_are_told(small: Reranker) -> None:
    planted = Planted(small, cut=lambda text: " ".join(text.split(" ")[:100]))
    with served("cohere", planted) as server:
        report = compared(server, small)
    assert differing(report) == {"length"}, report.to_text()
    assert "between 80 and 160 words" in said(report, "length")


def test_a_head_that_is_cut_is_told(small: Reranker) -> None:
    planted = Planted(small, cut=lambda text: " ".join(text.split(" ")[-300:]))
    with served("jina", planted) as server:
        report = compared(server, small)
    assert differing(report) == {"length"}, report.to_text()
    assert "the head is cut off" in said(report, "length")


def test_a_middle_that_is_cut_is_told(small: Reranker) -> None:
    def ends(text: str) -> str:
        words = text.split(" ")
        return text if len(words) <= 300 else " ".join(words[:150] + words[-150:])

    with served("jina", Planted(small, cut=ends)) as server:
        report = compared(server, small)
    assert differing(report) == {"length"}
    assert "not their middle" in said(report, "length")


def test_a_server_that_reads_further_is_told(small: Reranker) -> None:
    planted = Planted(small, options=(("long_documents", "windows"),))
    with served("jina", planted) as server:
        report = compared(server, small)
    assert differing(report) == {"length"}
    assert "documents of 1280 words whole" in said(report, "length")


def over(words: int, fault: Fault) -> Fault:
    """A fault for requests with a document of more than so many words."""

    def answered(reply: Reply) -> Reply:
        long = any(len(text.split()) > words for text in documents(reply.asked))
        return fault(reply) if long else reply

    return answered


@pytest.mark.parametrize(("status", "words"), [(422, "is refused"), (500, "the server fails")])
def test_a_long_pair_that_fails_the_request_is_told(
    status: int, words: str, small: Reranker
) -> None:
    # Its clients ask again after a 500.
    with served("jina", Planted(small)) as server:
        server.always = over(400, failing("jina", status, "must have less than 512 tokens"))
        report = compared(server, small)
    assert differing(report) == {"length"}, report.to_text()
    assert "between 320 and 640 words" in said(report, "length")
    assert words in said(report, "length")
    assert "the whole request" in said(report, "length")
    assert "must have less than 512 tokens" in found(report, "length").evidence["why"]
    assert report.requests <= 25


def test_requests_are_bounded_where_all_that_can_fail_does(small: Reranker) -> None:
    short = set(MAIN.documents) | set(SECOND.documents)

    def answered(reply: Reply) -> Reply:
        return reply if set(documents(reply.asked)) <= short else failing("tei", 400)(reply)

    with served("tei", Planted(small)) as server:
        server.always = answered
        report = compared(server, small)
    assert differing(report) == {"length", "odd texts"}
    # One more without the empty document, and of long ones the shortest alone.
    assert report.requests == len(server.bodies) == 13 + 2


def test_too_much_in_all_is_told_from_a_long_pair(small: Reranker) -> None:
    def answered(reply: Reply) -> Reply:
        words = sum(len(text.split()) for text in documents(reply.asked))
        return failing("jina", 413)(reply) if words > 4000 else reply

    with served("jina", Planted(small)) as server:
        server.always = answered
        report = compared(server, small)
    assert differing(report) == {"length"}
    assert "each of them is taken by itself" in said(report, "length")


def test_a_long_query_that_is_refused_is_told(small: Reranker) -> None:
    def answered(reply: Reply) -> Reply:
        return failing("jina", 422)(reply) if len(reply.asked["query"]) > 400 else reply

    with served("jina", Planted(small)) as server:
        server.always = answered
        report = compared(server, small)
    assert differing(report) == {"query"}
    assert "is refused" in said(report, "query")
