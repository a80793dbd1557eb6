"""The embedding, as LangChain has them."""

from __future__ import annotations

from langchain_core.embeddings import Embeddings

from stores import embedding


class BgeSmall(Embeddings):
    """bge-small for LangChain's vector stores."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of passages."""
        return embedding.of_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        return embedding.of_question(text)
