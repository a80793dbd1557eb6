"""Recording what retrievers find, and how it was ranked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.rerank import ReRankStartEvent
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.postprocessor.resift import RerankTimingEvent, ResiftRecorder, ResiftRerank

from resift import InvalidRequestError, Reranker
from resift.recording import Recorder
from resift.testing import QUERY, TEXTS

MakeNodes = Callable[..., list[NodeWithScore]]


class Shelf(BaseRetriever):
    """Finds everything it has."""

    def __init__(self, nodes: list[NodeWithScore]) -> None:
        super().__init__()
        self.nodes = nodes

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self.nodes


class Wrapped(BaseRetriever):
    """Returns what another retriever finds, in the reverse order."""

    def __init__(self, inner: BaseRetriever) -> None:
        super().__init__()
        self.inner = inner

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self.inner.retrieve(query_bundle)[::-1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traffic.jsonl"


@pytest.fixture
def recorder(path: Path) -> Recorder:
    return Recorder(path, text=True, hash_ids=False)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def listen(handler: ResiftRecorder) -> None:
    get_dispatcher().add_event_handler(handler)


both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@both
def test_a_reranking_is_recorded_with_what_it_was_given(
    engine: Reranker, make_nodes: MakeNodes, recorder: Recorder, path: Path, is_async: bool
) -> None:
    listen(ResiftRecorder(recorder))
    rerank = ResiftRerank(reranker=engine, top_n=2)
    nodes = Shelf(make_nodes()).retrieve(QUERY)
    if is_async:
        kept = asyncio.run(rerank.apostprocess_nodes(nodes, query_str=QUERY))
    else:
        kept = rerank.postprocess_nodes(nodes, query_str=QUERY)
    (line,) = lines(path)
    assert (line["query"], line["model"]) == (QUERY, "resift-small")
    candidates = line["candidates"]
    assert [each["text"] for each in candidates] == list(TEXTS)
    assert {each["score"] for each in candidates} == {0.25}
    ranked = sorted(
        (each["rank"], each["id"], each["rank_score"]) for each in candidates if each["rank"]
    )
    assert ranked == [(n, each.node.node_id, each.score) for n, each in enumerate(kept, start=1)]
    assert sum(each["logit"] is not None for each in candidates) == 2


@both
def test_a_retriever_that_is_named_is_recorded(
    make_nodes: MakeNodes, recorder: Recorder, path: Path, is_async: bool
) -> None:
    listen(ResiftRecorder(recorder, retriever="Shelf"))
    shelf = Shelf(make_nodes())
    nodes = asyncio.run(shelf.aretrieve(QUERY)) if is_async else shelf.retrieve(QUERY)
    (line,) = lines(path)
    assert line["query"] == QUERY
    assert [each["id"] for each in line["candidates"]] == [each.node.node_id for each in nodes]
    assert {(each["score"], each["rank"]) for each in line["candidates"]} == {(0.25, None)}


@pytest.mark.parametrize(("name", "first"), [("Wrapped", -1), ("Shelf", 0)])
def test_of_retrievers_in_retrievers_the_named_one_is_recorded(
    make_nodes: MakeNodes, recorder: Recorder, path: Path, name: str, first: int
) -> None:
    listen(ResiftRecorder(recorder, retriever=name))
    nodes = make_nodes()
    Wrapped(Shelf(nodes)).retrieve(QueryBundle(QUERY))
    (line,) = lines(path)
    assert line["candidates"][0]["id"] == nodes[first].node.node_id


def test_calls_at_a_time_are_told_apart(
    engine: Reranker, make_nodes: MakeNodes, recorder: Recorder, path: Path
) -> None:
    listen(ResiftRecorder(recorder))
    rerank = ResiftRerank(reranker=engine)

    async def run() -> None:
        await asyncio.gather(
            *(
                rerank.apostprocess_nodes(make_nodes([f"text {n}"]), query_str=f"query {n}")
                for n in range(8)
            )
        )

    asyncio.run(run())
    found = {line["query"]: line["candidates"][0]["text"] for line in lines(path)}
    assert found == {f"query {n}": f"text {n}" for n in range(8)}


@pytest.mark.usefixtures("fail")
def test_a_reranking_that_fails_is_not_recorded_and_not_kept(
    engine: Reranker, make_nodes: MakeNodes, recorder: Recorder, path: Path
) -> None:
    handler = ResiftRecorder(recorder)
    listen(handler)
    with pytest.raises(RuntimeError):
        ResiftRerank(reranker=engine).postprocess_nodes(make_nodes(), query_str=QUERY)
    assert not path.exists()
    assert not handler._open


def test_starts_without_an_end_are_bounded(make_nodes: MakeNodes, recorder: Recorder) -> None:
    handler = ResiftRecorder(recorder)
    for n in range(3000):
        event = ReRankStartEvent(query=QUERY, nodes=[], top_n=1, model_name="other")
        event.span_id = f"Other.postprocess-{n}"
        handler.handle(event)
    assert len(handler._open) == 1000


def test_the_timing_event_sends_no_ranking(
    engine: Reranker, make_nodes: MakeNodes, record: Any
) -> None:
    ResiftRerank(reranker=engine).postprocess_nodes(make_nodes(), query_str=QUERY)
    (event,) = record.of(RerankTimingEvent)
    assert event.ranking.model == "resift-small"
    assert "ranking" not in json.dumps(event.model_dump(), default=str)


def test_texts_and_ids_are_left_out(engine: Reranker, make_nodes: MakeNodes, path: Path) -> None:
    listen(ResiftRecorder(Recorder(path)))
    ResiftRerank(reranker=engine).postprocess_nodes(
        make_nodes(["sentinel text"]), query_str="sentinel query"
    )
    assert lines(path)[0]["candidates"]
    assert not any(word in path.read_text(encoding="utf-8") for word in ("sentinel", "node-"))


def test_a_failing_disk_is_no_error_of_the_caller(engine: Reranker, make_nodes: MakeNodes) -> None:
    recorder = Recorder("/dev/full", salt="a salt for the tests")
    listen(ResiftRecorder(recorder))
    kept = ResiftRerank(reranker=engine).postprocess_nodes(make_nodes(), query_str=QUERY)
    assert len(kept) == 5
    assert recorder.failed == 1


def test_a_wrong_option_raises(recorder: Recorder) -> None:
    wrong: Any = "traffic.jsonl"
    with pytest.raises(InvalidRequestError, match="recorder"):
        ResiftRecorder(wrong)
    with pytest.raises(InvalidRequestError, match="retriever"):
        ResiftRecorder(recorder, retriever="")
