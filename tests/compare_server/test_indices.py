"""Indices and the order of a server's answer, right and wrong."""

from __future__ import annotations

from typing import Any

import pytest
from compare_server.planted import Planted, compared, differing, found, said, served
from remote.loopback import changed

from resift import Reranker


def numbered_by_place(results: list[Any]) -> list[Any]:
    return [{**each, "index": place} for place, each in enumerate(results)]


def scored_by_place(results: list[Any]) -> list[Any]:
    """The right indices, best first, with the scores in the order given."""
    scores = [each["score"] for each in sorted(results, key=lambda each: each["index"])]
    pairs = zip(results, scores, strict=True)
    return [{**each, "score": score} for each, score in pairs]


def test_places_for_indices_are_told(small: Reranker) -> None:
    with served("tei", Planted(small)) as server:
        server.always = changed(numbered_by_place)
        report = compared(server, small)
    assert differing(report) == {"index"}, report.to_text()
    assert said(report, "model").startswith("the same model")
    assert found(report, "length").verdict == "unknown"


def test_places_for_indices_are_told_of_another_model(small: Reranker, nano: Reranker) -> None:
    with served("tei", Planted(nano)) as server:
        server.always = changed(numbered_by_place)
        report = compared(server, small)
    assert differing(report) == {"index"}, report.to_text()
    assert said(report, "model").startswith("another model, or")


def test_documents_that_come_back_at_other_indices_are_told(
    small: Reranker, nano: Reranker
) -> None:
    def turned(body: Any) -> Any:
        results, count = body["results"], len(body["results"])
        moved = [{**each, "index": (each["index"] + 1) % count} for each in results]
        return {**body, "results": moved if count > 3 else results}

    with served("vllm", Planted(nano)) as server:
        server.always = changed(turned)
        report = compared(server, small)
    assert differing(report) == {"index"}, report.to_text()


def test_scores_in_another_order_than_indices_are_told(small: Reranker) -> None:
    with served("tei", Planted(small)) as server:
        server.always = changed(scored_by_place)
        report = compared(server, small)
    assert differing(report) == {"index", "order"}, report.to_text()


@pytest.mark.parametrize("shape", ["weaviate", "vllm-score"])
def test_a_sorted_answer_is_wrong_where_the_order_given_is_kept(
    shape: str, small: Reranker
) -> None:
    def sort(body: Any) -> Any:
        key = "scores" if shape == "weaviate" else "data"
        results = sorted(body[key], key=lambda each: -each["score"])
        if shape == "vllm-score":
            results = numbered_by_place(results)
        return {**body, key: results}

    with served(shape, Planted(small)) as server:
        server.always = changed(sort)
        report = compared(server, small)
    assert differing(report) == {"index"}, report.to_text()


def test_an_answer_in_the_order_given_is_told(small: Reranker) -> None:
    with served("tei", Planted(small)) as server:
        server.always = changed(lambda body: sorted(body, key=lambda each: each["index"]))
        report = compared(server, small)
    assert differing(report) == {"order"}, report.to_text()


def test_ties_that_are_turned_round_are_noted(small: Reranker) -> None:
    def turned(body: Any) -> Any:
        return sorted(body, key=lambda each: (-each["score"], -each["index"]))

    with served("tei", Planted(small)) as server:
        server.always = changed(turned)
        report = compared(server, small)
    assert found(report, "order").verdict == "note"
    assert report.status == "same"
