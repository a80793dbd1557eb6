"""Elasticsearch with resift as its inference endpoint: NOT RUN HERE, as there was no server.

The client's calls are checked by types, and by a server that records what they send.

    pip install -r examples/stores/requirements/elasticsearch.txt
    resift serve --host 0.0.0.0 --port 8080
    cd examples && python -m stores.elasticsearch "how do I flatten a list of lists"

Elasticsearch calls `resift serve` itself, so RESIFT_URL must be an address that it reaches.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

from elasticsearch import Elasticsearch, helpers

from documentation import documentation
from stores import embedding

INDEX, ENDPOINT = "python", "resift"
CANDIDATES, KEPT = 20, 10


def create_endpoint(client: Elasticsearch, url: str, key: str) -> None:
    """Tell Elasticsearch how to ask `resift serve`, which answers as Cohere's API does."""
    client.inference.put_custom(
        task_type="rerank",
        custom_inference_id=ENDPOINT,
        service="custom",
        service_settings={
            "secret_parameters": {"api_key": key},
            "url": f"{url}/v2/rerank",
            "headers": {"Authorization": "Bearer ${api_key}", "Content-Type": "application/json"},
            "request": '{"documents": ${input}, "query": ${query}, "model": "resift-small"}',
            "response": {
                "json_parser": {
                    "reranked_index": "$.results[*].index",
                    "relevance_score": "$.results[*].relevance_score",
                }
            },
        },
    )


def ingest(client: Elasticsearch, passages: dict[str, str]) -> None:
    """Put passages and their vectors into an index."""
    vector = {"type": "dense_vector", "dims": embedding.DIMENSION, "similarity": "cosine"}
    properties: dict[str, Any] = {"text": {"type": "text"}, "vector": vector}
    client.options(ignore_status=404).indices.delete(index=INDEX)
    client.indices.create(index=INDEX, mappings={"properties": properties})
    helpers.bulk(client, _actions(passages), refresh=True)


def _actions(passages: dict[str, str]) -> Iterator[dict[str, Any]]:
    vectors = embedding.of_documents(passages.values())
    for (name, text), vector in zip(passages.items(), vectors, strict=True):
        yield {"_index": INDEX, "_id": name, "_source": {"text": text, "vector": vector}}


def search(client: Elasticsearch, question: str) -> list[str]:
    """The names of passages: vectors and words, fused by ranks, then reranked."""
    words = {"standard": {"query": {"match": {"text": question}}}}
    near = {
        "knn": {
            "field": "vector",
            "query_vector": embedding.of_question(question),
            "k": CANDIDATES,
            "num_candidates": 100,
        }
    }
    found = client.search(
        index=INDEX,
        source=False,
        size=KEPT,
        retriever={
            "text_similarity_reranker": {
                "retriever": {"rrf": {"retrievers": [words, near], "rank_window_size": CANDIDATES}},
                "field": "text",
                "inference_id": ENDPOINT,
                "inference_text": question,
                "rank_window_size": CANDIDATES,
            }
        },
    )
    return [hit["_id"] for hit in found["hits"]["hits"]]


def main() -> None:
    """Ingest, and answer one question."""
    client = Elasticsearch(os.environ.get("ELASTICSEARCH_URL", "http://127.0.0.1:9200"))
    create_endpoint(
        client,
        os.environ.get("RESIFT_URL", "http://127.0.0.1:8080"),
        os.environ.get("RESIFT_KEY", "none"),
    )
    ingest(client, documentation())
    sys.stdout.write("\n".join(search(client, sys.argv[1])) + "\n")


if __name__ == "__main__":
    main()
