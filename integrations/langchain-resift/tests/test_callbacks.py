"""Callbacks and tracers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest.mock import MagicMock

import pytest
import requests
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.callbacks import BaseCallbackHandler, Callbacks
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tracers import BaseTracer, LangChainTracer, Run
from langchain_resift import ResiftReranker
from langsmith import Client

from resift import InvalidRequestError, ModelNotFoundError, Ranking, Reranker

QUERY = "how do I sort a dictionary by value"


class Traces(BaseTracer):
    """Keeps the runs that have no parent, each with its children."""

    def __init__(self) -> None:
        super().__init__()
        self.roots: list[Run] = []

    def _persist_run(self, run: Run) -> None:
        self.roots.append(run)

    def __iter__(self) -> Iterator[tuple[Run | None, Run]]:
        """Every run with its parent."""
        left: list[tuple[Run | None, Run]] = [(None, run) for run in self.roots]
        while left:
            parent, run = left.pop()
            yield parent, run
            left += [(run, child) for child in run.child_runs]

    def named(self, name: str) -> tuple[Run | None, Run]:
        """The parent of the one run of that name, and that run."""
        (found,) = [(parent, run) for parent, run in self if run.name == name]
        return found


@pytest.fixture
def traces() -> Traces:
    return Traces()


Compress = Callable[[ResiftReranker, list[Document], str, Callbacks], Sequence[Document]]


def _sync(
    compressor: ResiftReranker, documents: list[Document], query: str, callbacks: Callbacks
) -> Sequence[Document]:
    return compressor.compress_documents(documents, query, callbacks)


def _async(
    compressor: ResiftReranker, documents: list[Document], query: str, callbacks: Callbacks
) -> Sequence[Document]:
    return asyncio.run(compressor.acompress_documents(documents, query, callbacks))


both = pytest.mark.parametrize("compress", [_sync, _async])


@both
def test_a_run_shows_the_query_and_the_documents_in_and_out(
    compress: Compress, documents: list[Document], traces: Traces
) -> None:
    kept = compress(ResiftReranker(top_n=2), documents, QUERY, [traces])

    _, run = traces.named("ResiftReranker")
    assert run.run_type == "retriever"
    assert run.inputs == {"query": QUERY}
    assert run.outputs == {"documents": kept}

    parent, engine_run = traces.named("Reranker.rank")
    assert parent is run
    assert engine_run.inputs == {"query": QUERY, "documents": documents}
    assert engine_run.outputs is not None
    ranking = engine_run.outputs["output"]
    assert isinstance(ranking, Ranking)
    assert ranking.model == "resift-small"
    assert [documents[result.index].id for result in ranking] == [each.id for each in kept]
    for each in (run, engine_run):
        assert each.error is None
        assert each.end_time is not None


@both
def test_the_run_ends_without_documents(compress: Compress, traces: Traces) -> None:
    assert compress(ResiftReranker(), [], QUERY, [traces]) == []
    _, run = traces.named("ResiftReranker")
    assert run.outputs == {"documents": []}
    assert run.end_time is not None


@both
@pytest.mark.parametrize(
    ("options", "query", "error"),
    [
        ({"model": "no-such-model"}, QUERY, ModelNotFoundError),
        ({}, " ", InvalidRequestError),
        ({}, None, InvalidRequestError),
    ],
)
def test_the_run_reports_its_error(
    compress: Compress,
    documents: list[Document],
    traces: Traces,
    options: dict[str, Any],
    query: str,
    error: type[Exception],
) -> None:
    with pytest.raises(error):
        compress(ResiftReranker(**options), documents, query, [traces])
    for name in ("ResiftReranker", "Reranker.rank"):
        _, run = traces.named(name)
        assert run.error is not None
        assert error.__name__ in run.error
        assert run.end_time is not None


@both
def test_an_invalid_document_is_an_error_of_the_run(compress: Compress, traces: Traces) -> None:
    wrong: list[Any] = ["a text"]
    with pytest.raises(InvalidRequestError, match=r"documents\[0\]"):
        compress(ResiftReranker(), wrong, QUERY, [traces])
    _, run = traces.named("ResiftReranker")
    assert run.error is not None


def test_a_cancelled_call_reports_it(documents: list[Document], traces: Traces) -> None:
    started = asyncio.Event()

    class Endless(Reranker):
        async def arank(self, *_: Any, **__: Any) -> Ranking:
            started.set()
            await asyncio.Event().wait()
            raise AssertionError

    async def cancel() -> None:
        compressor = ResiftReranker(reranker=Endless())
        task = asyncio.create_task(compressor.acompress_documents(documents, QUERY, [traces]))
        await asyncio.wait_for(started.wait(), timeout=30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    _, run = traces.named("ResiftReranker")
    assert run.error is not None
    assert "CancelledError" in run.error


@pytest.mark.parametrize("is_async", [False, True])
def test_the_run_is_nested_under_the_retriever(
    shelf: BaseRetriever, traces: Traces, is_async: bool
) -> None:
    retriever = ContextualCompressionRetriever(
        base_compressor=ResiftReranker(), base_retriever=shelf
    )
    config: RunnableConfig = {"callbacks": [traces], "tags": ["mine"], "metadata": {"user": 7}}
    if is_async:
        asyncio.run(retriever.ainvoke(QUERY, config))
    else:
        retriever.invoke(QUERY, config)
    parent, run = traces.named("ResiftReranker")
    assert parent is not None
    assert parent.name == "ContextualCompressionRetriever"
    assert [child.name for child in parent.child_runs] == ["Shelf", "ResiftReranker"]
    assert run.tags == ["mine"]
    assert run.extra["metadata"]["user"] == 7


@pytest.mark.parametrize("is_async", [False, True])
def test_the_run_is_nested_under_the_runnable_around_it(
    documents: list[Document], traces: Traces, is_async: bool
) -> None:
    compressor = ResiftReranker()
    chain = RunnableLambda(
        lambda query: compressor.compress_documents(documents, query),
        lambda query: compressor.acompress_documents(documents, query),
        name="chain",
    )
    if is_async:
        asyncio.run(chain.ainvoke(QUERY, {"callbacks": [traces]}))
    else:
        chain.invoke(QUERY, {"callbacks": [traces]})
    parent, _ = traces.named("ResiftReranker")
    assert parent is not None
    assert parent.name == "chain"


def test_handlers_get_retriever_events(documents: list[Document]) -> None:
    handler = MagicMock(spec=BaseCallbackHandler)
    for name in ("ignore_retriever", "ignore_chain", "raise_error"):
        setattr(handler, name, False)
    kept = ResiftReranker().compress_documents(documents, QUERY, [handler])
    start = handler.on_retriever_start.call_args
    end = handler.on_retriever_end.call_args
    assert start.args[1] == QUERY
    assert start.kwargs["name"] == "ResiftReranker"
    assert end.args[0] is kept
    assert end.kwargs["run_id"] == start.kwargs["run_id"]


def test_a_subclass_gives_the_run_its_name(documents: list[Document], traces: Traces) -> None:
    class HandbookReranker(ResiftReranker):
        pass

    HandbookReranker().compress_documents(documents, QUERY, [traces])
    _, run = traces.named("HandbookReranker")
    assert run.run_type == "retriever"


def test_events_are_streamed(shelf: BaseRetriever, documents: list[Document]) -> None:
    retriever = ContextualCompressionRetriever(
        base_compressor=ResiftReranker(top_n=1), base_retriever=shelf
    )

    async def collect() -> list[Any]:
        return [event async for event in retriever.astream_events(QUERY, version="v2")]

    events = {(each["event"], each["name"]): each["data"] for each in asyncio.run(collect())}
    assert events["on_chain_start", "Reranker.rank"]["input"]["documents"] == documents
    (best,) = events["on_retriever_end", "ResiftReranker"]["output"]
    assert best.id == "sort"


@pytest.mark.parametrize("hidden", [False, True])
def test_langsmith_gets_the_documents_unless_told_to_hide_them(
    documents: list[Document], hidden: bool
) -> None:
    session = MagicMock(spec=requests.Session)
    client = Client(
        api_url="http://localhost",
        api_key="none",
        session=session,
        auto_batch_tracing=False,
        hide_inputs=hidden,
        hide_outputs=hidden,
        info={},
    )
    tracer = LangChainTracer(client=client)
    ResiftReranker(top_n=1).compress_documents(documents, QUERY, [tracer])
    bodies = [call.kwargs["data"] for call in session.request.call_args_list]
    sent = b"".join(bodies).decode()
    assert "ResiftReranker" in sent
    for document in documents:
        assert (document.page_content in sent) is not hidden
