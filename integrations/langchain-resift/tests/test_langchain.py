"""In LangChain's own retrievers, chains, agents and standard tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.language_models import GenericFakeChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough
from langchain_core.tools import BaseTool, create_retriever_tool
from langchain_resift import ResiftReranker
from langchain_tests.integration_tests import RetrieversIntegrationTests

QUERY = "how do I sort a dictionary by value"


@pytest.fixture
def retriever(shelf: BaseRetriever) -> ContextualCompressionRetriever:
    return ContextualCompressionRetriever(
        base_compressor=ResiftReranker(top_n=2), base_retriever=shelf
    )


def test_contextual_compression(
    retriever: ContextualCompressionRetriever, documents: list[Document]
) -> None:
    found = retriever.invoke(QUERY)
    assert len(found) == 2
    assert found[0].id == "sort"
    assert found == ResiftReranker(top_n=2).compress_documents(documents, QUERY)
    assert asyncio.run(retriever.ainvoke(QUERY)) == found


def test_contextual_compression_finds_nothing() -> None:
    retriever = ContextualCompressionRetriever(
        base_compressor=ResiftReranker(model="no-such-model"),
        base_retriever=RunnableLambda(lambda _: []),
    )
    assert retriever.invoke(QUERY) == []
    assert asyncio.run(retriever.ainvoke(QUERY)) == []


def test_lcel(shelf: BaseRetriever) -> None:
    compressor = ResiftReranker(top_n=1)
    chain = (
        {"query": RunnablePassthrough(), "documents": shelf}
        | RunnableLambda(
            lambda found: compressor.compress_documents(**found),
            lambda found: compressor.acompress_documents(**found),
        )
        | (lambda best: best[0].id)
    )
    assert chain.invoke(QUERY) == "sort"
    assert asyncio.run(chain.ainvoke(QUERY)) == "sort"
    assert chain.batch([QUERY, "when can I see the paintings"]) == ["sort", "museum"]


class _Searcher(GenericFakeChatModel):
    """Calls the tool it is given, then answers."""

    def bind_tools(
        self, tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool], **_: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        return self


@pytest.mark.parametrize("is_async", [False, True])
def test_a_tool_of_an_agent(retriever: ContextualCompressionRetriever, is_async: bool) -> None:
    call = {"name": "search", "args": {"query": QUERY}, "id": "1", "type": "tool_call"}
    model = _Searcher(messages=iter([AIMessage("", tool_calls=[call]), AIMessage("done")]))
    agent = create_agent(model, tools=[create_retriever_tool(retriever, "search", "Searches.")])
    question: Any = {"messages": [{"role": "user", "content": QUERY}]}
    answer = asyncio.run(agent.ainvoke(question)) if is_async else agent.invoke(question)
    (found,) = [each for each in answer["messages"] if isinstance(each, ToolMessage)]
    assert str(found.content).startswith("Use sorted with a key function")
    assert str(found.content).count("\n\n") == 1
    assert answer["messages"][-1].content == "done"


class _TopK(ContextualCompressionRetriever):
    """The retriever with its number of results as ``k``."""

    k: int = 2

    def _compression(self, k: int | None = None) -> ContextualCompressionRetriever:
        compressor = self.base_compressor.model_copy(update={"top_n": k or self.k})
        return ContextualCompressionRetriever(
            base_compressor=compressor, base_retriever=self.base_retriever
        )

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return self._compression(**kwargs).invoke(query, {"callbacks": run_manager.get_child()})

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return await self._compression(**kwargs).ainvoke(
            query, {"callbacks": run_manager.get_child()}
        )


class TestStandard(RetrieversIntegrationTests):
    # Marked, not overridden, which the standard tests forbid; pytest need not be in asyncio's mode.
    test_ainvoke_returns_documents = pytest.mark.asyncio(
        RetrieversIntegrationTests.test_ainvoke_returns_documents
    )

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return _TopK

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        documents = [Document(f"The museum has {number} rooms.") for number in range(5)]
        return {
            "base_compressor": ResiftReranker(),
            "base_retriever": RunnableLambda(lambda _: documents),
        }

    @property
    def retriever_query_example(self) -> str:
        return QUERY
