"""Scores over HTTP in each client's shape: those of ``Reranker.rank``, in its order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from server.shapes.bodies import DOCUMENTS, QUERY, TEXTS, Scores, results

from resift import Reranker


def pairs(key: str, name: str) -> Callable[[Any], Scores]:
    return lambda answer: [(each["index"], each[name]) for each in answer[key]]


def in_place(answer: Mapping[str, Any]) -> Scores:
    assert [each["document"] for each in answer["scores"]] == TEXTS
    return [(index, each["score"]) for index, each in enumerate(answer["scores"])]


# path, body, how its answer is read, whether that is in the order given
CASES: dict[str, tuple[str, dict[str, Any], Callable[[Any], Scores], bool]] = {
    "tei": (
        "/rerank",
        {"query": QUERY, "texts": TEXTS},
        lambda answer: [(each["index"], each["score"]) for each in answer],
        False,
    ),
    "tei at the root": (
        "/",
        {"query": QUERY, "texts": TEXTS, "truncate": None, "raw_scores": False},
        lambda answer: [(each["index"], each["score"]) for each in answer],
        False,
    ),
    "cohere v1": ("/v1/rerank", {"model": "rerank-v3.5", **DOCUMENTS}, results, False),
    "cohere v2": (
        "/v2/rerank",
        {"model": "rerank-v3.5", **DOCUMENTS, "top_n": None, "max_tokens_per_doc": None},
        results,
        False,
    ),
    "jina": ("/v1/rerank", {"model": "jina-reranker-v2", **DOCUMENTS}, results, False),
    "voyage": (
        "/v1/rerank",
        {**DOCUMENTS, "model": "rerank-2", "top_k": None, "truncation": True},
        pairs("data", "relevance_score"),
        False,
    ),
    "vllm": ("/rerank", {**DOCUMENTS, "top_n": 0}, results, False),
    "vllm v2": ("/v2/rerank", DOCUMENTS, results, False),
    "vllm by its name": ("/vllm/rerank", DOCUMENTS, results, False),
    "score": ("/score", {"text_1": QUERY, "text_2": TEXTS}, pairs("data", "score"), True),
    "score v1": ("/v1/score", {"queries": QUERY, "items": TEXTS}, pairs("data", "score"), True),
    "infinity": ("/rerank", {**DOCUMENTS, "raw_scores": False}, results, False),
    "infinity by its name": ("/infinity/rerank", DOCUMENTS, results, False),
    "weaviate": ("/rerank", {**DOCUMENTS, "property": ""}, in_place, True),
    "resift": (
        "/v1/rank",
        DOCUMENTS,
        lambda answer: [(x["index"], x["score"]) for x in answer["rankings"][0]["results"]],
        False,
    ),
    "invocations": ("/invocations", {"query": QUERY, "texts": TEXTS}, pairs("0", "score"), False),
}
CASES["invocations"] = (*CASES["invocations"][:2], CASES["tei"][2], False)


@pytest.mark.parametrize("name", CASES)
def test_order_and_scores_are_the_engines(
    name: str, server: httpx.Client, reranker: Reranker
) -> None:
    path, body, read, in_order = CASES[name]
    answer = server.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-resift-normalization"] == "sigmoid"
    expected = [(each.index, each.score) for each in reranker.rank(QUERY, TEXTS)]
    found = read(answer.json())
    if in_order:
        expected.sort()
    assert [index for index, _ in found] == [index for index, _ in expected]
    # Other requests may share a batch, which changes the last digits.
    assert [score for _, score in found] == pytest.approx([s for _, s in expected], abs=1e-5)


RAW = {
    "/rerank": {"query": QUERY, "texts": TEXTS, "raw_scores": True},
    "/infinity/rerank": {**DOCUMENTS, "raw_scores": True},
    "/score": {"text_1": QUERY, "text_2": TEXTS, "use_activation": False},
    "/v1/rank": {**DOCUMENTS, "normalization": "none"},
}


@pytest.mark.parametrize("path", RAW)
def test_logits_are_given_where_they_are_asked_for(
    path: str, server: httpx.Client, reranker: Reranker
) -> None:
    answered = server.post(path, json=RAW[path])
    assert answered.headers["x-resift-normalization"] == "none"
    answer = answered.json()
    if path == "/v1/rank":
        answer = answer["rankings"][0]
    listed = answer if isinstance(answer, list) else answer.get("results") or answer["data"]
    found = {x["index"]: x.get("score", x.get("relevance_score")) for x in listed}
    logits = {each.index: each.logit for each in reranker.rank(QUERY, TEXTS)}
    assert found == pytest.approx(logits, abs=1e-4)


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        ("/v1/rerank", {**DOCUMENTS, "top_n": 2}, "results"),
        ("/v2/rerank", {**DOCUMENTS, "model": "m", "top_n": 2}, "results"),
        ("/v1/rerank", {**DOCUMENTS, "top_k": 2}, "data"),
        ("/infinity/rerank", {**DOCUMENTS, "top_n": 2}, "results"),
        ("/vllm/rerank", {**DOCUMENTS, "top_n": 2}, "results"),
        ("/rerank", {"query": QUERY, "texts": TEXTS, "top_n": 2}, None),
    ],
)
def test_top_n_in_every_word_for_it(
    path: str, body: dict[str, Any], key: str | None, server: httpx.Client
) -> None:
    answer = server.post(path, json=body).json()
    listed = answer if key is None else answer[key]
    assert [each["index"] for each in listed] == [1, 5]


def test_weaviates_lone_text(server: httpx.Client, reranker: Reranker) -> None:
    answer = server.post("/rerank", json={"query": QUERY, "property": TEXTS[1]}).json()
    assert answer["property"] == TEXTS[1]
    assert answer["score"] == pytest.approx(reranker.score(QUERY, TEXTS[1:2])[0], abs=1e-5)


def test_pairs_of_several_queries(server: httpx.Client, reranker: Reranker) -> None:
    queries = [QUERY, "when is the museum open"]
    body = {"queries": queries, "documents": TEXTS[1:3]}
    data = server.post("/score", json=body).json()["data"]
    wanted = [reranker.score(q, [t])[0] for q, t in zip(queries, TEXTS[1:3], strict=True)]
    assert [each["score"] for each in data] == pytest.approx(wanted, abs=1e-5)
    assert [each["index"] for each in data] == [0, 1]


def test_no_documents_are_no_error(server: httpx.Client) -> None:
    assert server.post("/rerank", json={"query": QUERY, "texts": []}).json() == []
    answer = server.post("/v1/rerank", json={"query": QUERY, "documents": []}).json()
    assert answer["results"] == []


def test_lone_surrogates_are_ranked(server: httpx.Client) -> None:
    raw = b'{"query": "\\ud800", "documents": ["a\\udc00", "\\u0000"], "return_documents": true}'
    answer = server.post("/v1/rerank", content=raw)
    assert answer.status_code == 200
    assert len(answer.json()["results"]) == 2
