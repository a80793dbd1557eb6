"""The embedding, as LlamaIndex has them."""

from __future__ import annotations

from llama_index.core.base.embeddings.base import BaseEmbedding

from stores import embedding


class BgeSmall(BaseEmbedding):
    """bge-small for LlamaIndex's indices."""

    def _get_text_embedding(self, text: str) -> list[float]:
        return embedding.of_documents([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return embedding.of_question(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return embedding.of_question(query)
