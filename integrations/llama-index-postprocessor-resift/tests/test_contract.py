from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.resift import ResiftRerank

from resift.testing import Kept, PydanticAdapterContract


class TestResiftRerank(PydanticAdapterContract):
    import_name = "llama_index.postprocessor.resift"

    def build(self, **options: Any) -> ResiftRerank:
        return ResiftRerank(**options)

    def to_native(
        self, texts: Sequence[Any], metadata: Sequence[Mapping[str, Any]] | None = None
    ) -> list[NodeWithScore]:
        # Duplicates share their id; the position tells them apart, and isn't scored.
        return [
            NodeWithScore(
                node=TextNode(
                    text="" if text is None else text,
                    id_=str(hash(text)),
                    metadata={**(metadata[position] if metadata else {}), "position": position},
                ),
                score=0.5,
            )
            for position, text in enumerate(texts)
        ]

    def to_scored(
        self, texts: Sequence[Any], scores: Sequence[float | None]
    ) -> list[NodeWithScore]:
        documents = self.to_native(texts)
        for document, score in zip(documents, scores, strict=True):
            document.score = score
        return documents

    def run(self, subject: ResiftRerank, query: Any, documents: list[Any], **_: Any) -> Any:
        return subject.postprocess_nodes(documents, query_str=query)

    async def arun(self, subject: ResiftRerank, query: Any, documents: list[Any], **_: Any) -> Any:
        return await subject.apostprocess_nodes(documents, query_str=query)

    def read(self, output: list[NodeWithScore], documents: list[Any]) -> list[Kept]:
        kept = []
        for result in output:
            index = result.metadata["position"]
            assert result is not documents[index]
            assert result.node is not documents[index].node
            assert result.node == documents[index].node
            kept.append(Kept(index=index, score=result.score))
        return kept

    def test_many_tasks_share_one(self) -> None:
        subject = self.build()
        documents = self.to_native(["sort a list", "bake bread", "sort a dictionary"])
        expected = subject.postprocess_nodes(documents, query_str="sort")

        async def run_all() -> list[list[NodeWithScore]]:
            return await asyncio.gather(
                *(subject.apostprocess_nodes(documents, query_str="sort") for _ in range(16))
            )

        assert asyncio.run(run_all()) == [expected] * 16
