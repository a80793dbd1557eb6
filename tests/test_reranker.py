"""The engine at its public surface, on models whose scores are known by hand."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import math
import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import logit

import resift
from resift import (
    Calibration,
    InvalidRequestError,
    NonFiniteScoreError,
    Observer,
    Reranker,
    RerankerOptions,
    UnsupportedModelError,
)
from resift.backends.onnx import OnnxBackend
from resift.text.batch import Batch

DOCUMENTS = ["bad", "good", "a b", "good bad", "a"]
words = st.lists(st.sampled_from(["a", "b", "good", "bad", "w3", "w7"]), max_size=20)
documents_strategy = st.lists(words.map(" ".join), min_size=1, max_size=20)


def test_documents_are_ordered_by_logit(tiny: Path) -> None:
    ranking = Reranker(tiny).rank("a", DOCUMENTS)
    assert [result.index for result in ranking] == [1, 4, 2, 3, 0]
    for result in ranking:
        assert result.logit == logit(DOCUMENTS[result.index])
        assert result.score == pytest.approx(1 / (1 + math.exp(-result.logit)), abs=1e-12)
        assert type(result.index) is int
        assert type(result.logit) is float
        assert type(result.score) is float
        assert result.truncated_tokens == 0


def test_a_ranking_says_how_it_was_made(tiny: Path) -> None:
    ranking = Reranker(tiny, max_batch_tokens=12).rank("a", [*DOCUMENTS, "a"], top_n=2)
    assert ranking.model == str(tiny)
    assert ranking.revision is None
    assert (ranking.backend, ranking.precision, ranking.status) == ("onnx", "fp32", "complete")
    assert len(ranking) == 2
    assert ranking[0] == next(iter(ranking))
    assert ranking[:1] == (ranking[0],)
    counts = ranking.counts
    assert (counts.documents, counts.pairs, counts.truncated_documents) == (6, 5, 0)
    assert counts.tokens == sum(tiny_models.SPECIALS + 1 + len(d.split()) for d in DOCUMENTS)
    assert counts.padded_tokens == 2 * 6 + 2 * 5 + 5
    timings = ranking.timings
    phases = [timings.load, timings.tokenize, timings.infer, timings.rank]
    assert all(seconds > 0 for seconds in phases)
    assert sum(phases) <= timings.total
    assert json.loads(json.dumps(ranking.to_dict())) == ranking.to_dict()
    assert ranking.to_dict()["results"][0]["index"] == 1


def test_padding_is_counted(tiny: Path) -> None:
    ranking = Reranker(tiny, max_batch_tokens=1000).rank("a", ["good", "a " * 10, "bad bad"])
    assert ranking.counts.tokens == 5 + 14 + 6
    assert ranking.counts.padded_tokens == 3 * 14


def test_load_time_is_reported_once(tiny: Path) -> None:
    reranker = Reranker(tiny)
    assert reranker.rank("a", ["a"]).timings.load > 0
    assert reranker.rank("a", ["a"]).timings.load == 0
    warm = Reranker(tiny)
    warm.warm_up()
    assert warm.rank("a", ["a"]).timings.load == 0


def test_a_ranking_without_documents_is_empty(tiny: Path) -> None:
    ranking = Reranker(tiny / "not-there").rank("a", [])
    assert list(ranking) == []
    assert (ranking.precision, ranking.revision, ranking.status) == (None, None, "complete")
    assert ranking.counts == resift.Counts()


def test_each_text_is_forwarded_once(tiny: Path, forwarded: list[Batch]) -> None:
    ranking = Reranker(tiny).rank("a", ["good", "bad", "good", None, "", "bad"])
    assert ranking.counts.pairs == 3
    assert sum(len(batch.input_ids) for batch in forwarded) == 3
    assert [result.index for result in ranking] == [0, 2, 3, 4, 1, 5]


@settings(max_examples=30, deadline=None)
@given(documents=documents_strategy, budget=st.integers(1, 200))
def test_batches_change_nothing(tiny: Path, documents: list[str], budget: int) -> None:
    scores = _reranker(tiny, budget).score("a b", documents, normalization="none")
    assert scores == pytest.approx([logit(document) for document in documents], abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(requests=st.lists(documents_strategy, max_size=4), budget=st.integers(1, 200))
def test_rank_many_equals_rank_of_each(tiny: Path, requests: list[list[str]], budget: int) -> None:
    reranker = _reranker(tiny, budget)
    pairs = [(f"w{n}", [*documents, "a"]) for n, documents in enumerate(requests)]
    together = reranker.rank_many(pairs, top_n=3)
    apart = [reranker.rank(query, documents, top_n=3) for query, documents in pairs]
    assert [r.results for r in together] == [r.results for r in apart]
    assert [r.counts.tokens for r in together] == [r.counts.tokens for r in apart]


def _reranker(model: Path, budget: int, cache: dict[int, Reranker] = {}) -> Reranker:  # noqa: B006
    return cache.setdefault(budget, Reranker(model, max_batch_tokens=budget, threads=1))


def test_rank_many_takes_queries_without_documents(tiny: Path) -> None:
    rankings = Reranker(tiny).rank_many([("a", []), ("b", ["good", "bad"]), ("w1", [])])
    assert [len(ranking) for ranking in rankings] == [0, 2, 0]
    assert rankings[1].counts.documents == 2
    assert Reranker(tiny).rank_many([]) == []


def test_truncation_takes_the_documents_tail(tiny: Path, forwarded: list[Batch]) -> None:
    document = " ".join(["w1"] * 10 + ["good"] * 5)
    ranking = Reranker(tiny, max_length=3 + 2 + 10).rank("a b", [document, "w1", document])
    assert {r.index: r.truncated_tokens for r in ranking} == {0: 5, 1: 0, 2: 5}
    assert ranking.counts.truncated_documents == 2
    assert not ranking.query_truncated
    assert max(batch.input_ids.shape[1] for batch in forwarded) == 15
    long = forwarded[0].input_ids[0].tolist()
    ids = tiny_models.IDS
    cls, sep = ids["[CLS]"], ids["[SEP]"]
    assert long == [cls, ids["a"], ids["b"], sep, *[ids["w1"]] * 10, sep]
    assert forwarded[0].token_type_ids[0].tolist() == [0] * 4 + [1] * 11


@pytest.mark.parametrize(
    ("words", "kept", "truncated"), [(8, 8, False), (9, 8, True), (100, 8, True)]
)
def test_a_query_keeps_half_the_window(
    tiny: Path, forwarded: list[Batch], words: int, kept: int, truncated: bool
) -> None:
    ranking = Reranker(tiny, max_length=16).rank("a " * words, ["good " * 100])
    assert ranking.query_truncated is truncated
    assert (forwarded[0].token_type_ids == 0).sum() == kept + 2
    assert ranking[0].truncated_tokens == 100 - (16 - 3 - kept)


@pytest.mark.parametrize("long_documents", ["truncate", "windows"])
def test_max_document_tokens_bounds_a_document_alone(tiny: Path, long_documents: Any) -> None:
    options: dict[str, Any] = {"max_length": 5, "long_documents": long_documents}
    reranker = Reranker(tiny, **options)
    document = "w1 w2 good"
    for most in (1, 2, 3, 4):
        (cut,) = reranker.rank("a", [document], max_document_tokens=most)
        kept = " ".join(document.split()[:most])
        (same,) = reranker.rank("a", [kept])
        assert cut.logit == same.logit
        assert cut.truncated_tokens == same.truncated_tokens + max(0, 3 - most)


def test_max_length_out_of_bounds_is_refused(tiny: Path) -> None:
    reranker = Reranker(tiny)
    assert reranker.rank("a b", ["good good"], max_length=5)[0].truncated_tokens == 1
    for max_length in (4, 33):
        with pytest.raises(InvalidRequestError, match=f"max_length={max_length}"):
            reranker.rank("a", ["good"], max_length=max_length)


def test_windows_take_the_best_part(tiny: Path, forwarded: list[Batch]) -> None:
    document = " ".join(["bad"] * 40 + ["good"] * 4 + ["bad"] * 3)
    reranker = Reranker(tiny, max_length=12, long_documents="windows")
    ranking = reranker.rank("a", [document, "b"])
    best = max(
        np.mean([*[tiny_models.WEIGHTS[w] for w in document.split()[i : i + 8]], 0.0])
        for i in range(40)
    )
    lowest = ranking[-1].logit
    assert lowest is not None
    assert -2 * 8 / 9 < lowest <= best
    assert [result.truncated_tokens for result in ranking] == [0, 0]
    assert ranking.counts.pairs == sum(len(batch.input_ids) for batch in forwarded) > 5


def test_two_labels_are_a_difference(tmp_path: Path) -> None:
    model = tiny_models.build(tmp_path, labels=2)
    expected = [logit(document) for document in DOCUMENTS]
    scores = Reranker(model).score("a", DOCUMENTS, normalization="none")
    assert scores == pytest.approx(expected, abs=1e-6)


def test_other_heads_are_refused(tmp_path: Path) -> None:
    model = tiny_models.build(tmp_path / "labels", labels=3)
    with pytest.raises(UnsupportedModelError, match=r"\[1, 3\]"):
        Reranker(model).rank("a", ["a"])


def test_a_model_without_token_types_ranks(tmp_path: Path) -> None:
    model = tiny_models.build(tmp_path, token_types=False)
    assert [r.index for r in Reranker(model).rank("b", ["bad", "good"])] == [1, 0]


def test_a_tokenizers_own_truncation_and_padding_are_off(tiny: Path) -> None:
    ranking = Reranker(tiny).rank("a a a a a a", ["good " * 20])
    assert ranking.counts.tokens == ranking.counts.padded_tokens == 6 + 20 + 3


def test_nan_is_an_error(tiny: Path) -> None:
    with pytest.raises(NonFiniteScoreError, match=r"\[1, 3\]") as caught:
        Reranker(tiny).rank("a", ["a", "nan", "b", "nan"])
    assert caught.value.indices == (1, 3)
    assert caught.value.model == str(tiny)
    assert caught.value.backend == "onnx"
    with pytest.raises(NonFiniteScoreError, match="of 2 characters"):
        Reranker(tiny).rank_many([("a", ["good"]), ("w1", ["nan"])])


def test_overflow_is_computed_again_in_float32(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tiny_models.build(tmp_path, precision="fp16")
    reranker = Reranker(tmp_path)
    half = reranker.rank("a", ["a", "good"])
    assert half.precision == "fp16"
    assert half[0].logit == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(NonFiniteScoreError, match="float32 too where it has such weights"):
        reranker.rank("a", ["huge huge"])
    tiny_models.build(tmp_path)
    with caplog.at_level(logging.WARNING, "resift"):
        again = Reranker(tmp_path, precision="fp16").rank("a", ["huge huge"])
    assert again[0].logit == logit("huge huge")
    assert "fp32" in caplog.text


def test_the_float32_form_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    init: Callable[..., None] = OnnxBackend.__init__

    def slow(self: OnnxBackend, path: Path, **options: Any) -> None:
        opened.append(path)
        time.sleep(0.05)
        init(self, path, **options)

    tiny_models.build(tmp_path, precision="fp16")
    tiny_models.build(tmp_path)
    reranker = Reranker(tmp_path, precision="fp16", backend="onnx", threads=4, max_batch_tokens=1)
    reranker.warm_up()
    monkeypatch.setattr(OnnxBackend, "__init__", slow)
    # Each in a pass of its own, all at once.
    ranking = reranker.rank("a", ["huge huge", "huge", "huge a huge", "huge huge huge"])
    assert len(ranking) == 4
    assert [path.name for path in opened] == ["model.onnx"]


def test_a_transient_nan_is_computed_again(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, calls = OnnxBackend.forward, []

    def faulty(self: OnnxBackend, batch: Batch) -> np.ndarray:
        calls.append(batch)
        return forward(self, batch) * (np.nan if len(calls) == 1 else 1)

    monkeypatch.setattr(OnnxBackend, "forward", faulty)
    assert Reranker(tiny).rank("a", ["good"])[0].logit == logit("good")
    assert len(calls) == 2


@pytest.mark.parametrize("document", [1, b"bytes", ["list"], 1.5])
def test_other_types_are_refused_by_index(tiny: Path, document: object) -> None:
    with pytest.raises(InvalidRequestError, match=r"documents\[1\]"):
        Reranker(tiny).rank("a", ["a", document])  # type: ignore[list-item]


@pytest.mark.parametrize("query", [None, 3, b"a", ["a"]])
def test_other_queries_are_refused(tiny: Path, query: object) -> None:
    with pytest.raises(InvalidRequestError, match="query must be a str"):
        Reranker(tiny).rank(query, ["a"])  # type: ignore[arg-type]


@pytest.mark.parametrize("documents", ["good", b"good", None, 3])
def test_documents_that_are_no_list_are_refused(tiny: Path, documents: object) -> None:
    with pytest.raises(InvalidRequestError, match="documents must be a list"):
        Reranker(tiny).rank("a", documents)  # type: ignore[arg-type]


def test_documents_may_be_any_iterable(tiny: Path) -> None:
    expected = Reranker(tiny).rank("a", DOCUMENTS).results
    assert Reranker(tiny).rank("a", iter(DOCUMENTS)).results == expected
    assert Reranker(tiny).rank("a", tuple(DOCUMENTS)).results == expected


def test_a_misspelt_call_option_is_refused(tiny: Path) -> None:
    reranker = Reranker(tiny)
    with pytest.raises(TypeError, match="topn"):
        reranker.rank("a", ["a"], topn=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="topn"):
        reranker.rank_many([("a", ["a"])], topn=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="top_n"):
        reranker.score("a", ["a"], top_n=1)  # type: ignore[call-arg]


def test_score_keeps_everything_in_order(tiny: Path) -> None:
    reranker = Reranker(tiny, score_threshold=0.99)
    assert len(reranker.rank("a", DOCUMENTS)) == 0
    expected = [1 / (1 + math.exp(-logit(document))) for document in DOCUMENTS]
    assert reranker.score("a", DOCUMENTS) == pytest.approx(expected, abs=1e-9)
    assert asyncio.run(reranker.ascore("a", DOCUMENTS)) == reranker.score("a", DOCUMENTS)
    requests = [("a", DOCUMENTS), ("b", []), ("w1", DOCUMENTS[::-1])]
    apart = [reranker.score(query, documents) for query, documents in requests]
    assert reranker.score_many(requests) == apart
    assert asyncio.run(reranker.ascore_many(requests)) == apart


def test_call_time_options_take_precedence(tiny: Path) -> None:
    reranker = Reranker(tiny, normalization="none", score_threshold=100.0)
    assert len(reranker.rank("a", DOCUMENTS, score_threshold=0.0)) == 4
    top = reranker.rank("a", DOCUMENTS, normalization="minmax", score_threshold=0.5)
    assert top[0].score == 1.0
    assert all(result.score is not None and result.score >= 0.5 for result in top)
    with pytest.raises(InvalidRequestError, match="normalization"):
        reranker.rank("a", DOCUMENTS, normalization="")


def test_options_recreate_the_reranker(tiny: Path) -> None:
    calibration = Calibration(slope=2.0, intercept=0.5)
    reranker = Reranker(tiny, threads=1, normalization=calibration, score_threshold=0.25)
    json.dumps(reranker.options)
    again = Reranker(**reranker.options)
    assert again.options == reranker.options
    assert again.rank("a", DOCUMENTS).results == reranker.rank("a", DOCUMENTS).results
    assert "threads=1" in repr(reranker)


def test_copies_share_and_pickles_rebuild(tiny: Path) -> None:
    reranker = Reranker(tiny)
    assert copy.copy(reranker) is reranker
    assert copy.deepcopy([reranker])[0] is reranker
    revived = pickle.loads(pickle.dumps(reranker))
    assert revived.rank("a", DOCUMENTS).results == reranker.rank("a", DOCUMENTS).results


def test_option_names_are_declared_once() -> None:
    import inspect

    signature = set(inspect.signature(Reranker).parameters)
    assert signature == set(RerankerOptions.__annotations__) | {"score_threshold", "scorer"}


def test_phases_and_progress_are_observed(tiny: Path) -> None:
    from contextlib import contextmanager

    seen: list[str] = []

    class Recorder(Observer):
        @contextmanager
        def phase(self, name):  # type: ignore[no-untyped-def]
            seen.append(f"+{name}")
            yield
            seen.append(f"-{name}")

        def progress(self, done: int, total: int) -> None:
            seen.append(f"{done}/{total}")

    # With several threads, passes may end in another order.
    reranker = Reranker(tiny, max_batch_tokens=12, threads=1)
    reranker.rank("a", ["a", "b", "w1"], observer=Recorder())
    phases = ["+load", "-load", "+tokenize", "-tokenize", "+infer"]
    assert seen == [*phases, "0/3", "2/3", "3/3", "-infer", "+rank", "-rank"]


def test_errors_of_on_timing_are_raised(tiny: Path) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("metrics are down")

    with pytest.raises(RuntimeError, match="metrics are down"):
        Reranker(tiny, on_timing=fail).rank("a", ["a"])


def test_cancelling_stops_the_work(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, calls = OnnxBackend.forward, []
    started = threading.Event()

    def slow(self: OnnxBackend, batch: Batch) -> np.ndarray:
        calls.append(batch)
        started.set()
        time.sleep(0.05)
        return forward(self, batch)

    monkeypatch.setattr(OnnxBackend, "forward", slow)
    reranker = Reranker(tiny, max_batch_tokens=1)

    async def cancel() -> None:
        task = asyncio.create_task(reranker.arank("a", [f"w1 {'a ' * n}" for n in range(25)]))
        await asyncio.to_thread(started.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    time.sleep(0.2)
    assert len(calls) < 10
