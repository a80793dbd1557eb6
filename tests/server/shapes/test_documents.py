"""Documents as each client sends and reads them, whole or cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from server.shapes.bodies import DOCUMENTS, QUERY, TEXTS, results

from resift import Reranker

DOCUMENT: dict[str, Callable[[str], Any]] = {
    "/v1/rerank": lambda text: {"text": text},
    "/rerank": lambda text: {"text": text},
    "/cohere/v1/rerank": lambda text: {"text": text},
    "/jina/v1/rerank": lambda text: {"text": text},
    "/infinity/rerank": lambda text: text,
    "/voyage/v1/rerank": lambda text: text,
    "/vllm/rerank": lambda text: {"text": text, "multi_modal": None},
}


@pytest.mark.parametrize("path", DOCUMENT)
def test_documents_come_back_as_each_client_reads_them(path: str, server: httpx.Client) -> None:
    answer = server.post(path, json={**DOCUMENTS, "return_documents": True}).json()
    for each in answer.get("results") or answer["data"]:
        assert each["document"] == DOCUMENT[path](TEXTS[each["index"]])
    plain = server.post(path, json=DOCUMENTS).json()
    shown = ["document" in each for each in plain.get("results") or plain["data"]]
    # vLLM always returns them.
    assert all(shown) if path.startswith("/vllm") else not any(shown)


def test_objects_of_version_1_come_back_as_they_were(server: httpx.Client) -> None:
    documents = [{"title": "Sorting", "text": TEXTS[1], "id": 7}, {"text": TEXTS[2]}]
    body = {"query": QUERY, "documents": documents, "return_documents": True}
    for path in ("/v1/rerank", "/cohere/v1/rerank"):
        for each in server.post(path, json=body).json()["results"]:
            assert each["document"] == documents[each["index"]]
    titled = {**body, "rank_fields": ["title", "text"], "documents": documents[:1]}
    alone = {"query": QUERY, "documents": [f"Sorting\n{TEXTS[1]}"]}
    scores = [
        results(server.post("/v1/rerank", json=each).json())[0][1] for each in (titled, alone)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)


LONG = "The museum is closed on Mondays. " * 200


def test_cut_documents_are_counted(server: httpx.Client) -> None:
    answer = server.post("/rerank", json={"query": QUERY, "texts": [LONG, "short"]})
    assert answer.headers["x-resift-truncated"] == "1"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/rerank", {"query": QUERY, "texts": ["short", LONG], "truncate": False}),
        ("/v1/rerank", {"query": QUERY, "documents": ["short", LONG], "truncation": False}),
        ("/rerank", {"query": LONG, "texts": ["short"], "truncate": False}),
    ],
)
def test_truncation_can_be_forbidden(path: str, body: Any, server: httpx.Client) -> None:
    answer = server.post(path, json=body)
    assert answer.status_code == 422
    assert "truncation" in answer.json()["error"]
    assert LONG[:20] not in answer.text


@pytest.mark.parametrize(
    ("path", "key"), [("/v2/rerank", "max_tokens_per_doc"), ("/vllm/rerank", "max_tokens_per_doc")]
)
def test_documents_are_cut_where_a_client_says(
    path: str, key: str, server: httpx.Client, reranker: Reranker
) -> None:
    text = f"{TEXTS[2]} {TEXTS[1]}"
    body = {"model": "m", "query": QUERY, "documents": [text], key: 4}
    (score,) = reranker.score(QUERY, [text], max_document_tokens=4)
    answer = server.post(path, json=body)
    assert results(answer.json())[0][1] == pytest.approx(score, abs=1e-5)
    assert answer.headers["x-resift-truncated"] == "1"


def test_a_whole_pair_is_cut_where_vllm_says(server: httpx.Client, reranker: Reranker) -> None:
    body = {"query": QUERY, "documents": [LONG], "truncate_prompt_tokens": 64}
    (score,) = reranker.score(QUERY, [LONG], max_length=64)
    for path in ("/rerank", "/vllm/rerank"):
        assert results(server.post(path, json=body).json())[0][1] == pytest.approx(score, abs=1e-5)
