"""Recording what retrievers find, and how it was ranked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_resift import ResiftRecorder, ResiftReranker

from resift import InvalidRequestError, ModelNotFoundError
from resift.recording import Recorder

QUERY = "how do I sort a dictionary by value"


class Wrapped(BaseRetriever):
    """Returns what another retriever finds, in the reverse order."""

    inner: BaseRetriever

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return self.inner.invoke(query, {"callbacks": run_manager.get_child()})[::-1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traffic.jsonl"


@pytest.fixture
def recorder(path: Path) -> Recorder:
    return Recorder(path, text=True, hash_ids=False)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ask(runnable: Any, recorder: ResiftRecorder, is_async: bool) -> Any:
    config = {"callbacks": [recorder]}
    if is_async:
        return asyncio.run(runnable.ainvoke(QUERY, config))
    return runnable.invoke(QUERY, config)


both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@both
def test_a_plain_retriever_is_recorded(
    shelf: BaseRetriever, documents: list[Document], recorder: Recorder, path: Path, is_async: bool
) -> None:
    ask(shelf, ResiftRecorder(recorder), is_async)
    (line,) = lines(path)
    assert line["query"] == QUERY
    assert [each["id"] for each in line["candidates"]] == [each.id for each in documents]
    assert [each["text"] for each in line["candidates"]] == [d.page_content for d in documents]
    assert all(each["rank"] is each["score"] is None for each in line["candidates"])


@both
def test_a_reranking_is_recorded_once_with_what_it_was_given(
    shelf: BaseRetriever, documents: list[Document], recorder: Recorder, path: Path, is_async: bool
) -> None:
    retriever = ContextualCompressionRetriever(
        base_compressor=ResiftReranker(top_n=2), base_retriever=shelf
    )
    kept = ask(retriever, ResiftRecorder(recorder), is_async)
    (line,) = lines(path)
    assert line["model"] == "resift-small"
    candidates = line["candidates"]
    assert [each["id"] for each in candidates] == [each.id for each in documents]
    ranked = sorted((each["rank"], each["id"]) for each in candidates if each["rank"])
    assert ranked == [(1, kept[0].id), (2, kept[1].id)]
    scores = {each["id"]: each["rank_score"] for each in candidates}
    assert all(scores[each.id] == each.metadata["relevance_score"] for each in kept)
    assert sum(each["logit"] is not None for each in candidates) == 2


@both
def test_a_reranker_after_the_retriever_takes_its_place(
    shelf: BaseRetriever, recorder: Recorder, path: Path, is_async: bool
) -> None:
    compressor = ResiftReranker()
    chain = RunnableLambda(
        lambda query: compressor.compress_documents(shelf.invoke(query), query),
        lambda query: _both(shelf, compressor, query),
    )
    ask(chain, ResiftRecorder(recorder), is_async)
    (line,) = lines(path)
    assert line["model"] == "resift-small"


async def _both(shelf: BaseRetriever, compressor: ResiftReranker, query: str) -> Any:
    return await compressor.acompress_documents(await shelf.ainvoke(query), query)


def test_other_queries_of_a_chain_are_recorded_too(
    shelf: BaseRetriever, recorder: Recorder, path: Path
) -> None:
    compressor = ResiftReranker()

    def search(query: str) -> Any:
        shelf.invoke("another query")
        return compressor.compress_documents(shelf.invoke(query), query)

    ask(RunnableLambda(search), ResiftRecorder(recorder), is_async=False)
    assert sorted((line["query"], line["model"]) for line in lines(path)) == [
        ("another query", None),
        (QUERY, "resift-small"),
    ]


@pytest.mark.parametrize(
    ("name", "first"), [(None, "museum"), ("Wrapped", "museum"), ("Shelf", "danube")]
)
def test_of_retrievers_in_retrievers_the_named_one_is_recorded(
    shelf: BaseRetriever, recorder: Recorder, path: Path, name: str | None, first: str
) -> None:
    ask(Wrapped(inner=shelf), ResiftRecorder(recorder, retriever=name), is_async=False)
    (line,) = lines(path)
    assert line["candidates"][0]["id"] == first


def test_a_compressor_alone_is_recorded(
    documents: list[Document], recorder: Recorder, path: Path
) -> None:
    ResiftReranker().compress_documents(documents, QUERY, [ResiftRecorder(recorder)])
    (line,) = lines(path)
    assert len(line["candidates"]) == len(documents)


def test_the_first_stages_score_is_read_from_metadata(
    documents: list[Document], recorder: Recorder, path: Path
) -> None:
    for n, document in enumerate(documents[1:]):
        document.metadata["bm25"] = n / 2
    callback = ResiftRecorder(recorder, first_stage_score_field="bm25")
    ResiftReranker().compress_documents(documents, QUERY, [callback])
    (line,) = lines(path)
    assert [each["score"] for each in line["candidates"]] == [None, 0.0, 0.5, 1.0]


def test_what_was_found_is_recorded_where_ranking_fails(
    shelf: BaseRetriever, recorder: Recorder, path: Path
) -> None:
    retriever = ContextualCompressionRetriever(
        base_compressor=ResiftReranker(model="no-such-model"), base_retriever=shelf
    )
    with pytest.raises(ModelNotFoundError):
        ask(retriever, ResiftRecorder(recorder), is_async=False)
    (line,) = lines(path)
    assert line["model"] is None


def test_texts_and_ids_are_left_out(shelf: BaseRetriever, path: Path) -> None:
    ask(shelf, ResiftRecorder(Recorder(path)), is_async=False)
    written = path.read_text(encoding="utf-8")
    assert not any(word in written for word in ("danube", "Danube", "dictionary"))


def test_a_failing_disk_is_no_error_of_the_chain(
    shelf: BaseRetriever, documents: list[Document]
) -> None:
    recorder = Recorder("/dev/full", salt="a salt for the tests")
    assert ask(shelf, ResiftRecorder(recorder), is_async=False) == documents
    assert recorder.failed == 1


@pytest.mark.parametrize(
    "options", [{"recorder": "traffic.jsonl"}, {"retriever": ""}, {"first_stage_score_field": 7}]
)
def test_a_wrong_option_raises(recorder: Recorder, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match=next(iter(options))):
        ResiftRecorder(**{"recorder": recorder, **options})
