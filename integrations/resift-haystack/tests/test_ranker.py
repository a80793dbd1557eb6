"""The component on its own: documents in and out, loading, and saving."""

from __future__ import annotations

import asyncio
import copy
import inspect
import re
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from haystack import Document
from haystack.core.errors import DeserializationError, SerializationError
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack_integrations.components.rankers.resift import ResiftRanker

from resift import Calibration, InvalidRequestError, Prior, Reranker, TimingEvent
from resift.loading import opening
from resift.loading.model import LoadedModel
from resift.testing import QUERY, TEXTS

TYPE = "haystack_integrations.components.rankers.resift.ranker.ResiftRanker"
README = Path(__file__).parents[1] / "README.md"


def documents() -> list[Document]:
    return [Document(content=text, meta={"position": n}) for n, text in enumerate(TEXTS)]


def contents(result: dict[str, list[Document]]) -> list[str | None]:
    return [document.content for document in result["documents"]]


class SlowLoad:
    """``load_model``, counted and slow in a way that would hold up an event loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float = 0.0) -> None:
        self.calls = 0
        self.is_sleeping = False
        load = opening.load_model

        def slow_load(*arguments: Any, **keywords: Any) -> LoadedModel:
            self.calls += 1
            self.is_sleeping = True
            time.sleep(seconds)
            self.is_sleeping = False
            return load(*arguments, **keywords)

        monkeypatch.setattr(opening, "load_model", slow_load)


def turns(load: SlowLoad, work: Callable[[], Coroutine[Any, Any, Any]]) -> int:
    """Count the turns that others on the loop had while ``work`` loaded."""

    async def measure() -> int:
        task = asyncio.ensure_future(work())
        counted = 0
        while not task.done():
            await asyncio.sleep(0.001)
            counted += load.is_sleeping
        await task
        return counted

    return asyncio.run(measure())


# Documents


def test_every_other_field_is_kept() -> None:
    given = Document(
        id="mine",
        content=TEXTS[0],
        blob=ByteStream(b"raw", mime_type="text/plain"),
        meta={"tags": ["a"]},
        score=123.0,
        embedding=[0.1, 0.2],
        sparse_embedding=SparseEmbedding(indices=[1], values=[0.5]),
    )
    (kept,) = ResiftRanker().run(QUERY, [given])["documents"]
    assert kept is not given
    assert kept.score is not None
    assert 0 <= kept.score <= 1
    assert {**kept.to_dict(flatten=False), "score": 123.0} == given.to_dict(flatten=False)


def test_results_share_no_metadata_with_the_input() -> None:
    given = [Document(content=TEXTS[0], meta={"tags": ["a"], "nested": {"n": 1}})]
    before = copy.deepcopy(given)
    (kept,) = ResiftRanker().run(QUERY, given)["documents"]
    kept.meta["tags"].append("b")
    kept.meta["nested"]["n"] = 2
    kept.meta["new"] = True
    assert given == before


def test_duplicates_are_kept() -> None:
    given = [
        Document(id="same", content=TEXTS[0], score=0.9),
        Document(id="same", content=TEXTS[1], score=0.1),
        Document(id="other", content=TEXTS[0]),
    ]
    kept = ResiftRanker().run(QUERY, given)["documents"]
    assert [document.id for document in kept] == ["same", "other", "same"]


def test_content_that_is_not_str_is_refused_by_index() -> None:
    given = documents()
    # The constructor refuses this, an assignment doesn't.
    vars(given[1])["content"] = 5
    with pytest.raises(InvalidRequestError, match=r"(?<!\d)1(?!\d)"):
        ResiftRanker().run(QUERY, given)


@pytest.mark.parametrize("wrong", ["a text", [1, 2], [None]])
def test_an_invalid_document_is_refused(wrong: Any) -> None:
    # Text is iterable too, but no list that somebody meant.
    named = "documents must be" if isinstance(wrong, str) else r"documents\[0\]"
    with pytest.raises(InvalidRequestError, match=named):
        ResiftRanker().run(QUERY, wrong)
    with pytest.raises(InvalidRequestError, match=r"documents\[1\]"):
        ResiftRanker().run(QUERY, [*documents()[:1], *wrong])


@pytest.mark.parametrize("top_k", [0, -1, True, 2.0, "2"])
def test_errors_say_top_k(top_k: Any) -> None:
    with pytest.raises(InvalidRequestError, match="top_k"):
        ResiftRanker(top_k=top_k)
    with pytest.raises(InvalidRequestError, match="top_k"):
        ResiftRanker().run(QUERY, documents(), top_k=top_k)
    with pytest.raises(InvalidRequestError, match="top_k"):
        asyncio.run(ResiftRanker().run_async(QUERY, documents(), top_k=top_k))


def test_the_engines_name_for_top_k_is_refused() -> None:
    with pytest.raises(TypeError, match="top_n"):
        ResiftRanker(top_n=3)  # type: ignore[call-arg]


def test_run_async_takes_call_options() -> None:
    kept = asyncio.run(ResiftRanker(top_k=4).run_async(QUERY, documents(), top_k=2))
    assert len(kept["documents"]) == 2
    kept = asyncio.run(ResiftRanker().run_async(QUERY, documents(), score_threshold=1.1))
    assert kept == {"documents": []}


def test_run_and_run_async_have_one_signature() -> None:
    assert inspect.signature(ResiftRanker.run) == inspect.signature(ResiftRanker.run_async)


# Loading


def test_the_model_is_loaded_once_and_not_at_construction(monkeypatch: pytest.MonkeyPatch) -> None:
    load = SlowLoad(monkeypatch)
    ranker = ResiftRanker()
    ranker.run(QUERY, [])
    assert load.calls == 0
    for _ in range(2):
        ranker.warm_up()
        asyncio.run(ranker.warm_up_async())
        ranker.run(QUERY, documents())
    assert load.calls == 1


def test_run_needs_no_warm_up() -> None:
    assert contents(ResiftRanker().run(QUERY, documents()))[0] == TEXTS[0]


def test_warm_up_is_cheap_when_loaded() -> None:
    ranker = ResiftRanker()
    ranker.warm_up()
    start = time.thread_time()
    for _ in range(1000):
        ranker.warm_up()
    assert time.thread_time() - start < 0.5


def test_warm_up_async_does_not_block_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    load = SlowLoad(monkeypatch, seconds=0.5)
    assert turns(load, ResiftRanker().warm_up_async) > 1
    assert load.calls == 1


def test_a_cold_run_async_does_not_block_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    load = SlowLoad(monkeypatch, seconds=0.5)
    assert turns(load, lambda: ResiftRanker().run_async(QUERY, documents())) > 1
    assert load.calls == 1


# Saving


def test_to_dict_of_the_defaults() -> None:
    assert ResiftRanker().to_dict() == {
        "type": TYPE,
        "init_parameters": {
            "model": "resift-small",
            "backend": "auto",
            "normalization": "auto",
            "long_documents": "truncate",
            "prior": "auto",
            "on_error": "raise",
            "top_k": 5,
            "score_threshold": None,
            "metadata_fields": [],
        },
    }


def test_every_option_survives_a_round_trip(tmp_path: Path) -> None:
    parameters: dict[str, Any] = {
        "model": str(tmp_path),
        "backend": "onnx",
        "device": "cpu",
        "precision": "fp32",
        "max_length": 128,
        "max_batch_tokens": 512,
        "threads": 2,
        "normalization": {"slope": 0.5, "intercept": -1.0},
        "long_documents": "windows",
        "prune": "auto",
        "prior": {"place_weight": 0.5, "score_weight": 0.25, "score_centre": 1.0},
        "deadline_ms": 250.0,
        "max_documents": 40,
        "on_error": "first_stage",
        "revision": "main",
        "cache_dir": str(tmp_path / "cache"),
        "offline": True,
        "on_timing": "builtins.print",
        "top_k": None,
        "score_threshold": 0.0,
        "metadata_fields": ["title", "url"],
    }
    ranker = ResiftRanker(
        model=tmp_path,
        backend="onnx",
        device="cpu",
        precision="fp32",
        max_length=128,
        max_batch_tokens=512,
        threads=2,
        normalization=Calibration(slope=0.5, intercept=-1.0),
        long_documents="windows",
        prune="auto",
        prior=Prior(place_weight=0.5, score_weight=0.25, score_centre=1.0),
        deadline_ms=250,
        max_documents=40,
        on_error="first_stage",
        revision="main",
        cache_dir=tmp_path / "cache",
        offline=True,
        on_timing=print,
        top_k=None,
        score_threshold=0.0,
        metadata_fields=("title", "url"),
    )
    assert ranker.to_dict() == {"type": TYPE, "init_parameters": parameters}
    assert ResiftRanker.from_dict(ranker.to_dict()).to_dict() == ranker.to_dict()


def test_a_ready_reranker_is_saved_as_its_options() -> None:
    threshold = Reranker().rank(QUERY, TEXTS, normalization="none")[1].score
    reranker = Reranker(normalization="none", score_threshold=threshold, max_length=64)
    ready = ResiftRanker(reranker=reranker, top_k=3)
    again = ResiftRanker.from_dict(ready.to_dict())
    assert len(ready.run(QUERY, documents())["documents"]) == 2
    assert again.run(QUERY, documents()) == ready.run(QUERY, documents())
    assert again.to_dict() == ready.to_dict()
    mine = ResiftRanker(reranker=reranker, score_threshold=0.0).to_dict()
    assert mine["init_parameters"]["score_threshold"] == 0.0


def test_from_dict_needs_no_parameters() -> None:
    for data in ({"type": TYPE}, {"type": TYPE, "init_parameters": {}}):
        assert ResiftRanker.from_dict(data).to_dict() == ResiftRanker().to_dict()


def test_from_dict_changes_nothing_it_is_given() -> None:
    data = ResiftRanker(on_timing=print).to_dict()
    before = copy.deepcopy(data)
    ResiftRanker.from_dict(data)
    ResiftRanker.from_dict(data)
    assert data == before


def test_a_dictionary_that_cannot_be_loaded_is_refused() -> None:
    with pytest.raises(DeserializationError, match="Other"):
        ResiftRanker.from_dict({"type": "haystack.Other", "init_parameters": {}})
    with pytest.raises(TypeError, match="batch_size"):
        ResiftRanker.from_dict({"type": TYPE, "init_parameters": {"batch_size": 8}})
    with pytest.raises(DeserializationError, match="os"):
        ResiftRanker.from_dict({"type": TYPE, "init_parameters": {"on_timing": "os.remove"}})


def test_a_callback_that_cannot_be_imported_is_not_saved() -> None:
    def nested(event: TimingEvent) -> None:
        raise AssertionError(event)

    for callback in (lambda event: None, nested):
        with pytest.raises(SerializationError):
            ResiftRanker(on_timing=callback).to_dict()


# What the documentation shows


def test_the_class_is_defined_where_haystack_lets_it_be_loaded_from() -> None:
    assert f"{ResiftRanker.__module__}.{ResiftRanker.__name__}" == TYPE


@pytest.mark.parametrize("source", ["README.md", "docstring"])
def test_examples_run(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        README.read_text(encoding="utf-8")
        if source == "README.md"
        else str(inspect.getdoc(ResiftRanker))
    )
    snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert snippets
    # One program, as tests/test_docs.py runs it.
    namespace: dict[str, Any] = {}
    for snippet in snippets:
        exec(compile(snippet, source, "exec"), namespace)
    assert "Use sorted with a key function" in capsys.readouterr().out.splitlines()[0]
