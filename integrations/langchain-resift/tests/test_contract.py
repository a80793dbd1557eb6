"""The contract's rows on the LangChain compressor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from langchain_core.documents import Document
from langchain_resift import ResiftReranker

from resift.testing import Kept, PydanticAdapterContract


class TestResiftReranker(PydanticAdapterContract):
    import_name = "langchain_resift"

    def build(self, **options: Any) -> ResiftReranker:
        return ResiftReranker(**options)

    def to_native(
        self, texts: Sequence[Any], metadata: Sequence[Mapping[str, Any]] | None = None
    ) -> list[Document]:
        metadata = metadata or [{}] * len(texts)
        # LangChain has no document without a text.
        return [
            Document(text or "", id="same", metadata={**each, "position": position})
            for position, (text, each) in enumerate(zip(texts, metadata, strict=True))
        ]

    scored_options: ClassVar[Mapping[str, Any]] = {"first_stage_score_field": "similarity"}

    def to_scored(self, texts: Sequence[Any], scores: Sequence[float | None]) -> list[Document]:
        # A retriever that has no score leaves it out.
        return self.to_native(
            texts, [{} if score is None else {"similarity": score} for score in scores]
        )

    def run(
        self, subject: ResiftReranker, query: Any, documents: list[Any], **call_options: Any
    ) -> list[Document]:
        return subject.compress_documents(documents, query, **call_options)

    async def arun(
        self, subject: ResiftReranker, query: Any, documents: list[Any], **call_options: Any
    ) -> list[Document]:
        return await subject.acompress_documents(documents, query, **call_options)

    def read(self, output: list[Document], documents: list[Any]) -> list[Kept]:
        return [
            Kept(document.metadata["position"], document.metadata["relevance_score"])
            for document in output
        ]
