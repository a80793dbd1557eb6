"""Remote models through the three frameworks' adapters, which take them as a ready reranker."""

from __future__ import annotations

import pytest
from haystack import Document as HaystackDocument
from haystack_integrations.components.rankers.resift import ResiftRanker
from langchain_core.documents import Document
from langchain_resift import ResiftReranker
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.resift import ResiftRerank
from remote.calling import remote
from remote.loopback import serve

from resift import Reranker

TEXTS = ["1", "9", "5"]


@pytest.mark.parametrize(
    ("shape", "scores"),
    [
        ("tei", [0.999877, 0.993307]),
        ("cohere", [0.999877, 0.993307]),
        ("openai-listwise", [None, None]),
    ],
)
def test_every_adapter_ranks_with_a_server(shape: str, scores: list[float | None]) -> None:
    with serve(shape) as server:
        reranker = Reranker(scorer=remote(server))
        documents = [Document(page_content=text) for text in TEXTS]
        chained = ResiftReranker(reranker=reranker, top_n=2).compress_documents(documents, "q")
        nodes = [NodeWithScore(node=TextNode(text=text), score=0.5) for text in TEXTS]
        processed = ResiftRerank(reranker=reranker, top_n=2).postprocess_nodes(nodes, query_str="q")
        contents = [HaystackDocument(content=text) for text in TEXTS]
        ran = ResiftRanker(reranker=reranker, top_k=2).run(query="q", documents=contents)
        found: list[list[tuple[str | None, float | None]]] = [
            [(each.page_content, each.metadata["relevance_score"]) for each in chained],
            [(each.node.get_content(), each.score) for each in processed],
            [(each.content, each.score) for each in ran["documents"]],
        ]
    for each in found:
        assert [text for text, _ in each] == ["9", "5"]
        assert [score for _, score in each] == [
            None if score is None else pytest.approx(score, abs=1e-6) for score in scores
        ]
