"""Qdrant through LangChain, in the client's local mode: dense, sparse and hybrid search.

    pip install -r examples/stores/requirements/qdrant.txt
    cd examples && python -m stores.qdrant

For a server, give `QdrantClient(url=…)`; nothing else changes.
"""

from __future__ import annotations

import re
from collections import Counter
from zlib import crc32

from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.documents import Document
from langchain_qdrant import QdrantVectorStore, RetrievalMode, SparseEmbeddings, SparseVector
from langchain_resift import ResiftReranker
from qdrant_client import QdrantClient, models

from stores import embedding
from stores.embedding_langchain import BgeSmall
from stores.trial import CANDIDATES, KEPT, Trial


class Bm25(SparseEmbeddings):
    """BM25's weights of words; Qdrant multiplies by the rarity, which it counts itself."""

    def embed_documents(self, texts: list[str]) -> list[SparseVector]:
        """Weights that grow ever less with a word's count, and less in long passages."""
        return [self._document(text) for text in texts]

    def embed_query(self, text: str) -> SparseVector:
        """Each word of a question once."""
        places = sorted({_place(word) for word in _words(text)})
        return SparseVector(indices=places, values=[1.0] * len(places))

    def _document(
        self, text: str, k: float = 1.2, b: float = 0.75, usual: int = 60
    ) -> SparseVector:
        words = _words(text)
        longer = 1 - b + b * len(words) / usual
        counts = Counter(map(_place, words))
        return SparseVector(
            indices=list(counts),
            values=[n * (k + 1) / (n + k * longer) for n in counts.values()],
        )


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _place(word: str) -> int:
    return crc32(word.encode())


def ingest(passages: dict[str, str], client: QdrantClient) -> None:
    """Put passages into a collection, with a dense and a sparse vector each."""
    client.create_collection(
        "python",
        vectors_config={
            "dense": models.VectorParams(size=embedding.DIMENSION, distance=models.Distance.COSINE)
        },
        sparse_vectors_config={"words": models.SparseVectorParams(modifier=models.Modifier.IDF)},
    )
    store(client, RetrievalMode.HYBRID).add_texts(
        list(passages.values()), [{"name": name} for name in passages]
    )


def store(client: QdrantClient, mode: RetrievalMode) -> QdrantVectorStore:
    """The collection, as LangChain has it; hybrid search fuses both results by their ranks."""
    return QdrantVectorStore(
        client,
        "python",
        embedding=BgeSmall(),
        sparse_embedding=Bm25(),
        retrieval_mode=mode,
        vector_name="dense",
        sparse_vector_name="words",
    )


def names(documents: list[Document]) -> list[str]:
    """The passages' names."""
    return [each.metadata["name"] for each in documents]


def try_mode(client: QdrantClient, mode: RetrievalMode) -> None:
    """Search in one way, and rerank what is found."""
    trial = Trial(f"Qdrant {mode.value}")
    if not client.collection_exists("python"):
        ingest(trial.passages, client)
    retriever = store(client, mode).as_retriever(search_kwargs={"k": CANDIDATES})
    chain = ContextualCompressionRetriever(
        base_compressor=ResiftReranker(reranker=trial.reranker, top_n=KEPT),
        base_retriever=retriever,
    )
    trial.run(
        search=lambda question: names(retriever.invoke(question)),
        answer=lambda question: names(chain.invoke(question)),
    )


def main() -> None:
    """Try each way to search."""
    client = QdrantClient(":memory:")
    for mode in (RetrievalMode.DENSE, RetrievalMode.SPARSE, RetrievalMode.HYBRID):
        try_mode(client, mode)


if __name__ == "__main__":
    main()
