"""The contract's rows on the Haystack component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from haystack import Document
from haystack.utils import Secret
from haystack_integrations.components.rankers.resift import ResiftRanker

from resift.testing import AdapterContract, CallOptionsContract, Kept


def _renamed(options: Mapping[str, Any]) -> dict[str, Any]:
    return {"top_k" if name == "top_n" else name: value for name, value in options.items()}


class TestResiftRanker(AdapterContract, CallOptionsContract):
    import_name = "haystack_integrations.components.rankers.resift"
    names: ClassVar[Mapping[str, str]] = {"top_n": "top_k"}

    def token(self, text: str) -> Secret:
        return Secret.from_token(text)

    def build(self, **options: Any) -> ResiftRanker:
        return ResiftRanker(**_renamed(options))

    def to_native(
        self, texts: Sequence[Any], metadata: Sequence[Mapping[str, Any]] | None = None
    ) -> list[Document]:
        metadata = metadata or [{}] * len(texts)
        # One id, so that nothing may lean on it; Haystack can't make one from a lone surrogate.
        return [
            Document(id="same", content=text, meta={**meta, "position": position})
            for position, (text, meta) in enumerate(zip(texts, metadata, strict=True))
        ]

    def to_scored(self, texts: Sequence[Any], scores: Sequence[float | None]) -> list[Document]:
        return [
            replace(document, score=score)
            for document, score in zip(self.to_native(texts), scores, strict=True)
        ]

    def run(
        self, subject: ResiftRanker, query: Any, documents: list[Any], **call_options: Any
    ) -> dict[str, list[Document]]:
        return subject.run(query, documents, **_renamed(call_options))

    async def arun(
        self, subject: ResiftRanker, query: Any, documents: list[Any], **call_options: Any
    ) -> dict[str, list[Document]]:
        return await subject.run_async(query, documents, **_renamed(call_options))

    def read(self, output: dict[str, list[Document]], documents: list[Any]) -> list[Kept]:
        assert list(output) == ["documents"]
        return [
            # As it is: whether it is a float is for the suite to say.
            Kept(document.meta["position"], document.score)
            for document in output["documents"]
        ]
