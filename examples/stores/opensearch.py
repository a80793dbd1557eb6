"""OpenSearch with resift behind a connector: NOT RUN HERE, as there was no server.

The client's calls are checked by types, and by a server that records what they send.

    pip install -r examples/stores/requirements/opensearch.txt
    resift serve --host 0.0.0.0 --port 8080
    cd examples && python -m stores.opensearch "how do I flatten a list of lists"

OpenSearch calls `resift serve` itself, so RESIFT_URL must be an address that it reaches, and
match `plugins.ml_commons.trusted_connector_endpoints_regex`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

from opensearchpy import OpenSearch, helpers

from documentation import documentation
from stores import embedding

INDEX, PIPELINE = "python", "resift"
CANDIDATES, KEPT = 20, 10


def create_pipeline(client: OpenSearch, url: str, key: str) -> None:
    """A connector, a model of it, and a search pipeline that reranks with the model."""
    request = (
        '{ "documents": ${parameters.documents}, "query": "${parameters.query}", '
        '"model": "${parameters.model}", "top_n": ${parameters.top_n} }'
    )
    connector = client.plugins.ml.create_connector(
        body={
            "name": "resift",
            "version": "1",
            "protocol": "http",
            "credential": {"key": key},
            "parameters": {"model": "resift-small"},
            "actions": [
                {
                    "action_type": "predict",
                    "method": "POST",
                    "url": f"{url}/v1/rerank",
                    "headers": {"Authorization": "Bearer ${credential.key}"},
                    "request_body": request,
                    "pre_process_function": "connector.pre_process.cohere.rerank",
                    "post_process_function": "connector.post_process.cohere.rerank",
                }
            ],
        }
    )
    model = client.plugins.ml.register_model(
        body={
            "name": "resift",
            "function_name": "remote",
            "connector_id": connector["connector_id"],
        },
        params={"deploy": "true"},
    )
    reranking = {
        "ml_opensearch": {"model_id": model["model_id"]},
        "context": {"document_fields": ["text"]},
    }
    body = {"response_processors": [{"rerank": reranking}]}
    client.search_pipeline.put(id=PIPELINE, body=body)


def ingest(client: OpenSearch, passages: dict[str, str]) -> None:
    """Put passages and their vectors into an index."""
    vector = {"type": "knn_vector", "dimension": embedding.DIMENSION, "space_type": "cosinesimil"}
    client.indices.delete(index=INDEX, params={"ignore_unavailable": "true"})
    client.indices.create(
        index=INDEX,
        body={
            "settings": {"index.knn": True},
            "mappings": {"properties": {"text": {"type": "text"}, "vector": vector}},
        },
    )
    helpers.bulk(client, _actions(passages), refresh=True)


def _actions(passages: dict[str, str]) -> Iterator[dict[str, Any]]:
    vectors = embedding.of_documents(passages.values())
    for (name, text), vector in zip(passages.items(), vectors, strict=True):
        yield {"_index": INDEX, "_id": name, "_source": {"text": text, "vector": vector}}


def search(client: OpenSearch, question: str) -> list[str]:
    """The names of passages near to a question, reranked."""
    found = client.search(
        index=INDEX,
        params={"search_pipeline": PIPELINE},
        body={
            "size": CANDIDATES,
            "query": {
                "knn": {"vector": {"vector": embedding.of_question(question), "k": CANDIDATES}}
            },
            "ext": {"rerank": {"query_context": {"query_text": question}}},
        },
    )
    return [hit["_id"] for hit in found["hits"]["hits"]][:KEPT]


def main() -> None:
    """Ingest, and answer one question."""
    client = OpenSearch(os.environ.get("OPENSEARCH_URL", "http://127.0.0.1:9200"))
    create_pipeline(
        client,
        os.environ.get("RESIFT_URL", "http://127.0.0.1:8080"),
        os.environ.get("RESIFT_KEY", "none"),
    )
    ingest(client, documentation())
    sys.stdout.write("\n".join(search(client, sys.argv[1])) + "\n")


if __name__ == "__main__":
    main()
