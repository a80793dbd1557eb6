"""Weaviate with resift as its reranker, beside it: NOT RUN HERE, as there was no server.

The client's calls are checked by types.

    pip install -r examples/stores/requirements/weaviate.txt
    resift serve --host 0.0.0.0 --port 8080 --no-keys
    cd examples && python -m stores.weaviate "how do I flatten a list of lists"

Weaviate calls `resift serve` itself. Start it with ENABLE_MODULES=reranker-transformers and
RERANKER_INFERENCE_API=http://127.0.0.1:8080, or another address that it reaches.
"""

from __future__ import annotations

import sys

import weaviate
from weaviate.classes.config import Configure, DataType, Property
from weaviate.classes.query import Rerank
from weaviate.util import generate_uuid5

from documentation import documentation
from stores import embedding

COLLECTION = "Python"
CANDIDATES, KEPT = 20, 10


def ingest(client: weaviate.WeaviateClient, passages: dict[str, str]) -> None:
    """Put passages and their vectors into a collection that Weaviate reranks by resift."""
    client.collections.delete(COLLECTION)
    collection = client.collections.create(
        COLLECTION,
        properties=[
            Property(name="name", data_type=DataType.TEXT),
            Property(name="text", data_type=DataType.TEXT),
        ],
        vector_config=Configure.Vectors.self_provided(),
        # The module speaks to whatever answers at RERANKER_INFERENCE_API.
        reranker_config=Configure.Reranker.transformers(),
    )
    vectors = embedding.of_documents(passages.values())
    with collection.batch.dynamic() as batch:
        for (name, text), vector in zip(passages.items(), vectors, strict=True):
            properties = {"name": name, "text": text}
            batch.add_object(properties=properties, vector=vector, uuid=generate_uuid5(name))
    if collection.batch.failed_objects:
        sys.exit(f"{len(collection.batch.failed_objects)} passages couldn't be written")


def search(client: weaviate.WeaviateClient, question: str) -> list[str]:
    """The names of passages: vectors and words, fused, then reranked."""
    found = client.collections.get(COLLECTION).query.hybrid(
        query=question,
        vector=embedding.of_question(question),
        limit=CANDIDATES,
        rerank=Rerank(prop="text", query=question),
        return_properties=["name"],
    )
    return [str(each.properties["name"]) for each in found.objects][:KEPT]


def main() -> None:
    """Ingest, and answer one question."""
    with weaviate.connect_to_local() as client:
        ingest(client, documentation())
        sys.stdout.write("\n".join(search(client, sys.argv[1])) + "\n")


if __name__ == "__main__":
    main()
