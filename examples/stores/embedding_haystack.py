"""The embedding, as components of Haystack."""

from __future__ import annotations

from dataclasses import replace

from haystack import Document, component

from stores import embedding


@component
class BgeSmallDocumentEmbedder:
    """bge-small for indexing pipelines."""

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, list[Document]]:
        """The documents with their vectors."""
        vectors = embedding.of_documents(each.content or "" for each in documents)
        pairs = zip(documents, vectors, strict=True)
        return {"documents": [replace(each, embedding=vector) for each, vector in pairs]}


@component
class BgeSmallTextEmbedder:
    """bge-small for query pipelines."""

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict[str, list[float]]:
        """The vector of a question."""
        return {"embedding": embedding.of_question(text)}
