from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.chat_engine import CondensePlusContextChatEngine, ContextChatEngine
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import TextNode
from llama_index.core.tools import RetrieverTool, ToolMetadata
from llama_index.postprocessor.resift import RerankTimingEvent, ResiftRerank

from resift import Reranker
from resift.testing import QUERY, TEXTS


@pytest.fixture
def retriever() -> BaseRetriever:
    nodes = [TextNode(text=text, metadata={"page": n}) for n, text in enumerate(reversed(TEXTS))]
    # Its embeddings are all alike: the order of what it finds says nothing.
    index = VectorStoreIndex(nodes, embed_model=MockEmbedding(embed_dim=4))
    return index.as_retriever(similarity_top_k=len(TEXTS))


@pytest.fixture
def rerank(engine: Reranker) -> ResiftRerank:
    return ResiftRerank(reranker=engine, top_n=2, keep_retrieval_score=True)


@pytest.fixture
def best(engine: Reranker) -> list[tuple[str, float | None]]:
    return [(TEXTS[r.index], r.score) for r in engine.rank(QUERY, TEXTS, top_n=2)]


def told(nodes: list[Any]) -> list[tuple[str, Any]]:
    return [(node.text, pytest.approx(node.score, abs=1e-5)) for node in nodes]


def check_balanced(record: Any) -> None:
    assert len(record.of(ReRankStartEvent)) == len(record.of(ReRankEndEvent)) == 1
    assert len(record.of(RerankTimingEvent)) == 1


def test_a_query_engine_uses_it(
    retriever: BaseRetriever, rerank: ResiftRerank, best: list[Any], record: Any
) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    engine = RetrieverQueryEngine.from_args(
        retriever,
        llm=MockLLM(),
        node_postprocessors=[rerank],
        callback_manager=CallbackManager([debug]),
    )
    response = engine.query(QUERY)
    assert told(response.source_nodes) == best
    assert best[0][0] in str(response)
    assert "retrieval_score" not in str(response)
    check_balanced(record)
    assert record.parents["ResiftRerank._postprocess_nodes"] == "RetrieverQueryEngine._query"
    assert record.parents["ResiftRerank.infer"] == "ResiftRerank._postprocess_nodes"
    assert len(debug.get_event_pairs(CBEventType.RERANKING)) == 1


def test_an_async_query_engine_uses_it(
    retriever: BaseRetriever, rerank: ResiftRerank, best: list[Any], record: Any
) -> None:
    engine = RetrieverQueryEngine.from_args(retriever, llm=MockLLM(), node_postprocessors=[rerank])
    response = asyncio.run(engine.aquery(QUERY))
    assert told(response.source_nodes) == best
    check_balanced(record)
    assert record.parents["ResiftRerank._apostprocess_nodes"] == "RetrieverQueryEngine._aquery"
    assert record.parents["ResiftRerank.infer"] == "ResiftRerank._apostprocess_nodes"


@pytest.fixture
def engines() -> Iterator[list[Any]]:
    """Keeps chat engines, whose memory leaves connections open, until their test is over.

    Left to chance these are collected in another test, perhaps of another framework, in which the
    warning about it is an error; or while a loop runs that their thread then finds closed.
    """
    kept: list[Any] = []
    yield kept
    kept.clear()
    gc.collect()


@pytest.mark.filterwarnings("ignore:<aiosqlite.core.Connection:ResourceWarning")
@pytest.mark.parametrize("kind", [ContextChatEngine, CondensePlusContextChatEngine])
def test_chat_engines_use_it(
    engines: list[Any],
    kind: Any,
    retriever: BaseRetriever,
    rerank: ResiftRerank,
    best: list[Any],
    record: Any,
) -> None:
    def engine() -> Any:
        options = {"retriever": retriever, "llm": MockLLM(), "node_postprocessors": [rerank]}
        engines.append(kind.from_defaults(**options))
        return engines[-1]

    assert told(engine().chat(QUERY).source_nodes) == best
    check_balanced(record)
    record.events.clear()
    assert told(asyncio.run(engine().achat(QUERY)).source_nodes) == best
    check_balanced(record)
    streamed = engine().stream_chat(QUERY)
    assert "".join(streamed.response_gen)
    assert told(streamed.source_nodes) == best


def test_a_retriever_tool_uses_it(
    retriever: BaseRetriever, rerank: ResiftRerank, best: list[Any], record: Any
) -> None:
    tool = RetrieverTool(
        retriever,
        metadata=ToolMetadata(name="docs", description="the documents"),
        node_postprocessors=[rerank],
    )
    # The tool adds a line feed to the query, which is scored too.
    for call in (lambda: tool.call(QUERY), lambda: asyncio.run(tool.acall(QUERY))):
        output = call()  # type: ignore[no-untyped-call]
        assert [node.text for node in output.raw_output] == [text for text, _ in best]
        assert best[0][0] in output.content
        assert "retrieval_score" not in output.content
        check_balanced(record)
        record.events.clear()


def test_rerankers_can_be_chained(retriever: BaseRetriever, engine: Reranker) -> None:
    query_engine = RetrieverQueryEngine.from_args(
        retriever,
        llm=MockLLM(),
        node_postprocessors=[
            ResiftRerank(reranker=engine, top_n=4),
            ResiftRerank(reranker=engine, top_n=1, keep_retrieval_score=True),
        ],
    )
    (node,) = query_engine.query(QUERY).source_nodes
    assert node.metadata["retrieval_score"] == pytest.approx(node.score, abs=1e-5)
