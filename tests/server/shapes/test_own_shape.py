"""The server's own shape, and what is said in headers of any."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from numbers_scorer import Numbers
from server.running import Serve
from server.shapes.bodies import DOCUMENTS, QUERY, TEXTS

from resift import Reranker


def test_resifts_own_shape_says_all_that_a_ranking_does(
    server: httpx.Client, reranker: Reranker
) -> None:
    body = {
        "requests": [DOCUMENTS, {"query": "museum", "documents": [None, TEXTS[2]]}],
        "top_n": 2,
        "long_documents": "windows",
        "prior": 0.1,
        "max_documents": 5,
        "on_error": "first_stage",
        "deadline_ms": 60_000,
        "return_documents": True,
    }
    answer = server.post("/v1/rank", json=body).json()
    ranking = reranker.rank(QUERY, TEXTS, top_n=2, prior=0.1).to_dict()
    for found in answer["rankings"]:
        assert found.keys() == ranking.keys()
        assert found["timings"].keys() == ranking["timings"].keys()
        assert found["counts"].keys() == ranking["counts"].keys()
        assert len(found["results"]) == 2
    assert answer["rankings"][0]["prior"] == {"place_weight": 0.1} | answer["rankings"][0]["prior"]
    assert answer["rankings"][1]["results"][0]["document"] == TEXTS[2]


def test_resifts_own_shape_refuses_what_it_does_not_know(server: httpx.Client) -> None:
    answer = server.post("/v1/rank", json={**DOCUMENTS, "top_k": 3})
    assert answer.status_code == 422
    assert "top_k" in answer.json()["error"]
    assert "top_n" in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "more", "ignored"),
    [
        ("/v1/rerank", {"model": "rerank-v3.5", "user": "me", "top_n": 2}, {"model", "user"}),
        ("/v2/rerank", {"model": "resift-small", "priority": 3}, {"priority"}),
        ("/v2/rerank", {"model": "m", "max_tokens_per_doc": 4096}, {"model"}),
        ("/vllm/rerank", {"truncation_side": "left"}, {"truncation_side"}),
        ("/vllm/rerank", {"max_tokens_per_query": 9}, {"max_tokens_per_query"}),
        ("/infinity/rerank", {"model": "default/not-specified"}, {"model"}),
        ("/rerank", {"x\r\ny": 1}, {"x??y"}),
        ("/rerank", {}, set()),
        ("/rerank", {"top_n": None, "temperature": None}, set()),
    ],
)
def test_what_was_ignored_is_named(
    path: str, more: dict[str, Any], ignored: set[str], server: httpx.Client
) -> None:
    answer = server.post(path, json={**DOCUMENTS, **more})
    assert answer.status_code == 200
    named = answer.headers.get("x-resift-ignored", "")
    assert set(filter(None, named.split(", "))) == ignored


def test_a_deadline_may_come_in_a_header(serve: Serve) -> None:
    class Watched(Numbers):
        def score(self, requests: Any, call: Any) -> Any:
            self.left = call.remaining
            return super().score(requests, call)

    scorer = Watched()
    client = serve(scorer)
    body = {"query": "q", "texts": ["1"]}
    client.post("/rerank", json=body, headers={"x-resift-deadline-ms": "5000"})
    assert 0 < scorer.left <= 5
    bad = client.post("/rerank", json=body, headers={"x-resift-deadline-ms": "soon"})
    assert bad.status_code == 422
    assert "soon" in bad.json()["error"]
