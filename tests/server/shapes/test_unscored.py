"""Documents without a score, as each client gets them."""

from __future__ import annotations

from numbers_scorer import Numbers
from server.running import Serve

from resift.scoring import Cascade


def test_what_was_not_scored_is_below_the_rest_and_counted(serve: Serve) -> None:
    client = serve(Numbers(late="3"), normalization="none")
    texts = ["1", "3", "-2"]
    answer = client.post("/rerank", json={"query": "q", "texts": texts})
    assert [(x["index"], x["score"]) for x in answer.json()] == [(0, 1.0), (2, -2.0), (1, -3.0)]
    assert answer.headers["x-resift-status"] == "partial"
    assert answer.headers["x-resift-unscored"] == "1"
    own = client.post("/v1/rank", json={"query": "q", "documents": texts}).json()
    assert own["rankings"][0]["results"][-1]["score"] is None
    weaviate = client.post("/rerank", json={"query": "q", "documents": texts, "property": ""})
    assert [each["score"] for each in weaviate.json()["scores"]] == [1.0, -3.0, -2.0]


def test_a_failing_model_leaves_the_order_given_where_that_is_wanted(serve: Serve) -> None:
    client = serve(Numbers(error=OSError("gone")), on_error="first_stage")
    answer = client.post("/rerank", json={"query": "q", "texts": ["1", "3"]})
    assert [(x["index"], x["score"]) for x in answer.json()] == [(0, 0.0), (1, 0.0)]
    assert answer.headers["x-resift-status"] == "fallback"


def test_clients_that_need_all_get_all_in_spite_of_a_threshold(serve: Serve) -> None:
    client = serve(Numbers(), score_threshold=0.6)
    texts = ["1", "-5", "3"]
    assert len(client.post("/rerank", json={"query": "q", "texts": texts}).json()) == 3
    body = {"query": "q", "documents": texts}
    assert len(client.post("/rerank", json={**body, "property": ""}).json()["scores"]) == 3
    assert len(client.post("/score", json={"text_1": "q", "text_2": texts}).json()["data"]) == 3
    assert len(client.post("/v1/rerank", json=body).json()["results"]) == 2


def test_clients_that_need_all_get_what_a_cascade_left_out(serve: Serve) -> None:
    client = serve(Cascade([Numbers(), Numbers()], keep=[2]))
    texts = ["1", "-5", "3", "2"]
    answer = client.post("/rerank", json={"query": "q", "texts": texts})
    assert [each["index"] for each in answer.json()] == [2, 3, 0, 1]
    assert answer.headers["x-resift-pruned"] == "2"
    body = {"query": "q", "documents": texts}
    assert len(client.post("/rerank", json={**body, "property": ""}).json()["scores"]) == 4
    assert len(client.post("/v1/rerank", json=body).json()["results"]) == 2
