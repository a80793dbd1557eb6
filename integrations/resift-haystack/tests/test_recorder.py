"""Recording the documents that pass through a pipeline."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.utils import Secret
from haystack_integrations.components.rankers.resift import ResiftRanker, ResiftRecorder

from resift import InvalidRequestError
from resift.testing import QUERY, TEXTS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traffic.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def pipeline(recorder: ResiftRecorder, *, ranked: bool) -> Pipeline:
    store = InMemoryDocumentStore()
    store.write_documents([Document(content=text) for text in TEXTS])
    made = Pipeline()
    made.add_component("retriever", InMemoryBM25Retriever(store, top_k=3))
    made.add_component("recorder", recorder)
    made.connect("retriever.documents", "recorder.documents")
    if ranked:
        made.add_component("ranker", ResiftRanker(top_k=2))
        made.connect("retriever.documents", "ranker.documents")
        made.connect("ranker.documents", "recorder.ranked")
    return made


def ask(made: Pipeline, is_async: bool) -> list[Document]:
    asked = {"query": QUERY}
    names = made.graph.nodes
    data: dict[str, Any] = dict.fromkeys(names, asked)
    output = asyncio.run(made.run_async(data)) if is_async else made.run(data)
    documents: list[Document] = output["recorder"]["documents"]
    return documents


both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@both
def test_a_retriever_is_recorded_and_its_documents_pass(path: Path, is_async: bool) -> None:
    made = pipeline(ResiftRecorder(str(path), text=True, hash_ids=False), ranked=False)
    documents = ask(made, is_async)
    assert len(documents) == 3
    (line,) = lines(path)
    assert (line["query"], line["model"]) == (QUERY, None)
    found = [(each["id"], each["text"], each["score"]) for each in line["candidates"]]
    assert found == [(each.id, each.content, each.score) for each in documents]
    assert all(each["rank"] is None for each in line["candidates"])


@both
def test_a_ranker_is_recorded_beside_the_retriever(path: Path, is_async: bool) -> None:
    recorder = ResiftRecorder(str(path), hash_ids=False, model="resift-small")
    kept = ask(pipeline(recorder, ranked=True), is_async)
    assert len(kept) == 2
    (line,) = lines(path)
    assert line["model"] == "resift-small"
    assert len(line["candidates"]) == 3
    ranked = sorted(
        (each["rank"], each["id"], each["rank_score"])
        for each in line["candidates"]
        if each["rank"]
    )
    assert ranked == [(n, each.id, each.score) for n, each in enumerate(kept, start=1)]
    scores = [each["score"] for each in line["candidates"]]
    assert scores == sorted(scores, reverse=True)
    assert None not in scores


def test_nothing_ranked_is_passed_on(path: Path) -> None:
    documents = [Document(content="text")]
    assert ResiftRecorder(str(path)).run(QUERY, documents, []) == {"documents": []}
    assert lines(path)[0]["candidates"][0]["rank"] is None


def test_texts_and_ids_are_left_out(path: Path) -> None:
    documents = [Document(content="sentinel text", id="sentinel-id")]
    ResiftRecorder(str(path)).run("sentinel query", documents)
    assert lines(path)[0]["candidates"]
    assert "sentinel" not in path.read_text(encoding="utf-8")


def test_a_failing_disk_is_no_error_of_the_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALT", "a salt for the tests")
    component = ResiftRecorder("/dev/full", salt=Secret.from_env_var("SALT"))
    documents = [Document(content="text")]
    assert component.run(QUERY, documents) == {"documents": documents}
    assert component.recorder.failed == 1


def test_a_saved_pipeline_records_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALT", "a salt for the tests")
    made = Pipeline()
    component = ResiftRecorder(
        str(path),
        rate=0.5,
        text=True,
        hash_ids=False,
        salt=Secret.from_env_var("SALT"),
        max_bytes=None,
        keep=2,
        model="mine",
    )
    made.add_component("recorder", component)
    saved = made.dumps()
    assert "a salt for the tests" not in saved
    loaded = Pipeline.loads(saved)
    assert loaded.to_dict() == made.to_dict()
    again: Any = loaded.get_component("recorder")
    assert again.recorder.query_id(QUERY) == component.recorder.query_id(QUERY)
    assert vars(again.recorder).keys() == vars(component.recorder).keys()
    for name in ("path", "rate", "text", "hash_ids", "max_bytes", "keep"):
        assert getattr(again.recorder, name) == getattr(component.recorder, name)


def test_a_wrong_option_raises(path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="rate"):
        ResiftRecorder(str(path), rate=2)
    wrong: Any = "a salt for the tests"
    with pytest.raises(InvalidRequestError, match="salt") as caught:
        ResiftRecorder(str(path), salt=wrong)
    assert wrong not in str(caught.value)
