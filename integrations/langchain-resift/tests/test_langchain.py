"""Use in LangChain's own retrievers, chains, agents and standard tests."""

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
from langchain_core.runnables import (
    ConfigurableField,
    ConfigurableFieldSingleOption,
    Runnable,
    RunnableConfig,
    RunnableLambda,
    RunnablePassthrough,
    RunnableSerializable,
)
from langchain_core.tools import BaseTool, create_retriever_tool
from langchain_resift import ResiftReranker
from langchain_tests.integration_tests import RetrieversIntegrationTests

from resift import InvalidRequestError

QUERY = "how do I sort a dictionary by value"


@pytest.fixture
def retriever(shelf: BaseRetriever) -> ContextualCompressionRetriever:
    return ContextualCompressionRetriever(
        base_compressor=ResiftReranker(top_n=2), base_retriever=shelf
    )


def test_contextual_compression_keeps_the_best_documents(
    retriever: ContextualCompressionRetriever, documents: list[Document]
) -> None:
    found = retriever.invoke(QUERY)
    assert len(found) == 2
    assert found[0].id == "sort"
    assert found == ResiftReranker(top_n=2).compress_documents(documents, QUERY)
    assert asyncio.run(retriever.ainvoke(QUERY)) == found


def test_contextual_compression_may_find_nothing() -> None:
    retriever = ContextualCompressionRetriever(
        base_compressor=ResiftReranker(model="no-such-model"),
        base_retriever=RunnableLambda(lambda _: []),
    )
    assert retriever.invoke(QUERY) == []
    assert asyncio.run(retriever.ainvoke(QUERY)) == []


def test_it_runs_in_an_lcel_chain(shelf: BaseRetriever) -> None:
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


def test_a_retriever_with_a_configurable_reranker(
    retriever: ContextualCompressionRetriever, documents: list[Document]
) -> None:
    reranker = ResiftReranker(top_n=2)
    few = reranker.model_copy(update={"top_n": 1})
    assert few.reranker is reranker.reranker
    chosen = retriever.configurable_fields(base_compressor=ConfigurableField(id="reranker"))
    assert len(chosen.invoke(QUERY)) == 2
    configured = chosen.with_config(configurable={"reranker": few})
    assert [each.id for each in configured.invoke(QUERY)] == ["sort"]
    assert [each.id for each in asyncio.run(configured.ainvoke(QUERY))] == ["sort"]
    # What is assigned later is seen, too: it is the same object.
    few.top_n = None
    assert len(configured.invoke(QUERY)) == len(documents)


def test_a_retriever_with_rerankers_by_name(retriever: ContextualCompressionRetriever) -> None:
    reranker = ResiftReranker(top_n=2)
    options = {"few": reranker.model_copy(update={"top_n": 1}), "more": reranker}
    named = retriever.configurable_fields(
        base_compressor=ConfigurableFieldSingleOption(
            id="reranker", options=options, default="more"
        )
    )
    assert len(named.invoke(QUERY)) == 2
    assert len(named.with_config(configurable={"reranker": "few"}).invoke(QUERY)) == 1


def test_retrievers_as_configurable_alternatives(
    retriever: ContextualCompressionRetriever, shelf: BaseRetriever, documents: list[Document]
) -> None:
    either = retriever.configurable_alternatives(
        ConfigurableField(id="retrieval"), default_key="reranked", plain=shelf
    )
    assert len(either.invoke(QUERY)) == 2
    plain = either.with_config(configurable={"retrieval": "plain"})
    assert plain.invoke(QUERY) == documents


class _RunnableReranker(ResiftReranker, RunnableSerializable[dict[str, Any], list[Document]]):
    """The reranker as a runnable, whose own options a configuration may give."""

    def invoke(
        self,
        input: dict[str, Any],  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        return self.compress_documents(**input)


def test_a_runnable_rerankers_options_are_configurable(documents: list[Document]) -> None:
    runnable = _RunnableReranker(top_n=2).configurable_fields(
        top_n=ConfigurableField(id="top_n"), normalization=ConfigurableField(id="scale")
    )
    request = {"query": QUERY, "documents": documents}
    assert len(runnable.invoke(request)) == 2
    configured = runnable.with_config(configurable={"top_n": 1, "scale": "none"})
    (found,) = configured.invoke(request)
    assert found.metadata["relevance_score"] > 1
    with pytest.raises(InvalidRequestError, match="top_n"):
        runnable.with_config(configurable={"top_n": 0}).invoke(request)


class _Searcher(GenericFakeChatModel):
    """Calls the tool it is given, then answers."""

    def bind_tools(
        self, tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool], **_: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        return self


@pytest.mark.parametrize("is_async", [False, True])
def test_an_agents_tool_may_use_it(
    retriever: ContextualCompressionRetriever, is_async: bool
) -> None:
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
