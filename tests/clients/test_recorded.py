"""Requests of programs that aren't Python libraries, byte for byte as their sources write them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from clients.expected import KEY, QUERY

from resift import Reranker
from resift.testing import TEXTS

DOCUMENTS = [*TEXTS[:3], 'a <b> & "c" — naïve', TEXTS[0]]
QUOTED = json.dumps(QUERY)
ASCII = json.dumps(DOCUMENTS)
UTF_8 = json.dumps(DOCUMENTS, ensure_ascii=False, separators=(",", ":"))
# Go's encoding/json and Java's Gson escape HTML.
HTML_SAFE = UTF_8.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


@pytest.fixture
def client(server: Any) -> Any:
    with httpx.Client(base_url=server.address, timeout=60) as client:
        yield client


def post(client: httpx.Client, path: str, body: str, scheme: str = "Bearer") -> Any:
    headers = {"content-type": "application/json", "authorization": f"{scheme} {KEY}"}
    answer = client.post(path, content=body.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_weaviate(client: httpx.Client, reranker: Reranker) -> None:
    """Recorded from modules/reranker-transformers/clients/ranker.go (Go: json.Marshal)."""
    assert client.get("/.well-known/ready").status_code == 204
    meta = {"authorization": f"Bearer {KEY}"}
    assert isinstance(client.get("/meta", headers=meta).json(), dict)
    body = f'{{"query":{QUOTED},"documents":{HTML_SAFE},"property":""}}'
    answer = post(client, "/rerank", body)
    # Weaviate puts scores to documents by their place.
    assert [each["document"] for each in answer["scores"]] == DOCUMENTS
    scores = [each["score"] for each in answer["scores"]]
    assert scores == pytest.approx(reranker.score(QUERY, DOCUMENTS), abs=1e-6)


def test_weaviate_sends_chunks_at_once(client: httpx.Client, reranker: Reranker) -> None:
    """Recorded from its chunkDocuments: 32 of them a request."""
    texts = [f"Sort dictionary number {place}." for place in range(100)]
    chunks = [texts[at : at + 32] for at in range(0, len(texts), 32)]
    bodies = [
        json.dumps({"query": QUERY, "documents": each, "property": ""}, separators=(",", ":"))
        for each in chunks
    ]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda body: post(client, "/rerank", body), bodies))
    scores = [each["score"] for answer in answers for each in answer["scores"]]
    assert scores == pytest.approx(reranker.score(QUERY, texts), abs=1e-6)


def test_weaviate_reads_an_error(client: httpx.Client) -> None:
    """Weaviate reads JSON before it looks at the status, and then the string in "error"."""
    body = f'{{"query":{QUOTED},"documents":{HTML_SAFE},"property":""}}'
    # It sends no key.
    answer = client.post("/rerank", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 401
    assert "key" in answer.json()["error"]


RECORDED = {
    # backend/open_webui/retrieval/models/external.py (Python: requests, json=payload).
    "Open WebUI": (
        "/v1/rerank",
        f'{{"model": "reranker", "query": {QUOTED}, "documents": {ASCII}, "top_n": 5}}',
    ),
    # danny-avila/agents, src/tools/search/rerankers.ts, JinaReranker (axios: JSON.stringify).
    "LibreChat": (
        "/v1/rerank",
        f'{{"model":"jina-reranker-v2-base-multilingual","query":{QUOTED},"top_n":5,'
        f'"documents":{UTF_8},"return_documents":true}}',
    ),
    # The same file, CohereReranker.
    "LibreChat as Cohere's": (
        "/v2/rerank",
        f'{{"model":"rerank-v3.5","query":{QUOTED},"top_n":5,"documents":{UTF_8}}}',
    ),
    # langgenius/dify-plugin-sdks, interfaces/model/openai_compatible/rerank.py (json.dumps).
    "Dify": (
        "/v1/rerank",
        f'{{"model": "bge-reranker-v2-m3", "query": {QUOTED}, "documents": {ASCII}, '
        '"top_n": null, "return_documents": true}',
    ),
    "Dify without /v1": (
        "/rerank",
        f'{{"model": "bge-reranker-v2-m3", "query": {QUOTED}, "documents": {ASCII}, '
        '"top_n": 5, "return_documents": true}',
    ),
    # ml-commons, docs/tutorials/rerank: the connector's request_body, filled in.
    "OpenSearch": (
        "/v1/rerank",
        f'{{ "documents": {HTML_SAFE}, "query": {QUOTED}, "model": "rerank-english-v2.0", '
        '"top_n": 5 }',
    ),
}


@pytest.mark.parametrize("name", RECORDED)
def test_programs_get_every_document_with_its_score(
    name: str, client: httpx.Client, reranker: Reranker
) -> None:
    path, body = RECORDED[name]
    results = post(client, path, body)["results"]
    ranking = reranker.rank(QUERY, DOCUMENTS)
    assert [each["index"] for each in results] == [each.index for each in ranking]
    scores = [each["relevance_score"] for each in results]
    assert scores == pytest.approx([each.score for each in ranking], abs=1e-6)
    for each in results:
        wanted = {"text": DOCUMENTS[each["index"]]} if "return_documents" in body else None
        assert each.get("document") == wanted


def test_elasticsearch(client: httpx.Client, reranker: Reranker) -> None:
    """Recorded from the tests of its custom inference service, with "bearer" and Cohere's keys."""
    body = (
        f'{{"documents": {HTML_SAFE}, "query": {QUOTED}, "model": "rerank-v3.5", "top_n": 2, '
        '"return_documents": false}'
    )
    results = post(client, "/v2/rerank", body, scheme="bearer")["results"]
    ranking = reranker.rank(QUERY, DOCUMENTS, top_n=2)
    # $.results[*].index and $.results[*].relevance_score
    assert [each["index"] for each in results] == [each.index for each in ranking]
    scores = [each["relevance_score"] for each in results]
    assert scores == pytest.approx([each.score for each in ranking], abs=1e-6)


@pytest.mark.parametrize(
    ("options", "ignored"),
    [
        # litellm/llms/huggingface/rerank/transformation.py: always these.
        ('"raw_scores":false,"truncate":false,"truncation_direction":"Right"', "truncate"),
        # HuggingFaceTEIRanker, with a truncation_direction.
        (
            '"raw_scores":false,"truncate":true,"truncation_direction":"Left"',
            "truncation_direction",
        ),
    ],
    ids=["LiteLLM", "Haystack"],
)
def test_tei_clients_that_name_a_side_to_cut(
    options: str, ignored: str, client: httpx.Client, reranker: Reranker
) -> None:
    long = f"{TEXTS[0]} {'word ' * 2000}"
    body = f'{{{options},"query":{QUOTED},"texts":{json.dumps([TEXTS[1], long])}}}'
    headers = {"authorization": f"Bearer {KEY}"}
    answer = client.post("/rerank", content=body.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-resift-ignored"] == ignored
    assert answer.headers["x-resift-truncated"] == "1"
    scores = {each["index"]: each["score"] for each in answer.json()}
    wanted = reranker.score(QUERY, [TEXTS[1], long])
    assert [scores[0], scores[1]] == pytest.approx(wanted, abs=1e-6)
