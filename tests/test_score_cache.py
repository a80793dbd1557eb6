"""The cache of scores: what it finds, what it may never change, and what may happen to its file."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import threading
import time
import tracemalloc
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st
from numbers_scorer import Numbers
from processors import PROCESSORS

from resift import (
    InvalidRequestError,
    NonFiniteScoreError,
    Observer,
    Ranking,
    Reranker,
    machine,
)
from resift.families.sequence_classification import SequenceClassification
from resift.loading import identity, opening
from resift.loading.model import LoadedModel
from resift.options import LoadOptions
from resift.scoring import Cached, Cascade, Fallback, Local, Margin
from resift.scoring.disk import Disk
from resift.scoring.stores import Entry, Memory, Store
from resift.text.batch import Batch

TEXTS = ["good", "w3 w4", "bad", "b a w9", "w1"]

MAKERS: list[Callable[[Path], dict[str, Any]]] = [lambda _: {}, lambda path: {"folder": path}]
stores = pytest.mark.parametrize("place", MAKERS, ids=["memory", "disk"])


def facts(ranking: Ranking) -> list[tuple[Any, ...]]:
    found = [(r.index, r.score, r.logit, r.truncated_tokens) for r in ranking]
    return [*found, (ranking.query_truncated, ranking.counts.truncated_documents)]


def pairs(forwarded: Sequence[Batch]) -> int:
    return sum(len(batch.input_ids) for batch in forwarded)


def on_file(folder: Path) -> Path:
    (found,) = folder.glob("*.sqlite3")
    return found


# What is found


@stores
def test_a_text_is_scored_once(
    place: Callable[[Path], dict[str, Any]], tiny: Path, tmp_path: Path, forwarded: list[Batch]
) -> None:
    reranker = Reranker(scorer=Cached(Local(tiny, backend="onnx"), **place(tmp_path)))
    first = reranker.rank("a", TEXTS)
    assert (first.counts.pairs, first.counts.cached) == (5, 0)
    forwarded.clear()
    again = reranker.rank("a", TEXTS)
    assert pairs(forwarded) == 0
    assert facts(again) == facts(first)
    counts = again.counts
    assert (counts.pairs, counts.tokens, counts.padded_tokens, counts.cached) == (0, 0, 0, 5)
    assert (counts.scored, again.status, again.precision) == (5, "complete", first.precision)
    more = reranker.rank("a", ["w5", *TEXTS, "w5", "w6"])
    assert pairs(forwarded) == 2
    assert (more.counts.pairs, more.counts.cached, more.counts.documents) == (2, 5, 8)
    assert [(each.model, each.texts, each.pairs) for each in more.stages] == [(str(tiny), 2, 2)]
    assert [(each.texts, each.pairs) for each in again.stages] == [(0, 0)]


words = st.lists(st.sampled_from(["a", "b", "good", "w1", "w7"]), max_size=12).map(" ".join)
calls = st.lists(
    st.tuples(
        st.sampled_from(["a", "b a", "a b good w1 w2 w3 w4 w5 w6"]),
        st.lists(words, max_size=6),
        st.sampled_from([{}, {"max_length": 8}, {"max_length": 8, "long_documents": "windows"}]),
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None, max_examples=60)
@given(calls=calls, max_bytes=st.sampled_from([1, 1000, 10**6]), on_disk=st.booleans())
def test_it_changes_no_score(
    tmp_path_factory: pytest.TempPathFactory,
    tiny: Path,
    calls: list[tuple[str, list[str], dict[str, Any]]],
    max_bytes: int,
    on_disk: bool,
) -> None:
    # A pair in each pass: company would move the last digit.
    local = _locals.setdefault(tiny, Local(tiny, backend="onnx", max_batch_tokens=1))
    folder = tmp_path_factory.mktemp("cache") if on_disk else None
    cached = Reranker(scorer=Cached(local, max_bytes=max_bytes, folder=folder))
    for query, texts, options in calls:
        for _ in range(2):
            expected = Reranker(scorer=local).rank(query, texts, **options)
            found = cached.rank(query, texts, **options)
            assert facts(found) == facts(expected)
            assert found.counts.pairs <= expected.counts.pairs
            assert (found.counts.cached == 0) == (found.counts.pairs == expected.counts.pairs)


_locals: dict[Path, Local] = {}


def test_what_could_change_a_score_is_in_the_key(tiny: Path, forwarded: list[Batch]) -> None:
    reranker = Reranker(scorer=Cached(Local(tiny, backend="onnx")))
    reranker.rank("a", ["w1 w2"])
    others: list[tuple[str, dict[str, Any]]] = [
        ("b", {}),
        ("a", {"max_length": 7}),
        ("a", {"max_length": 8}),
        ("a", {"long_documents": "windows"}),
    ]
    for query, options in others:
        forwarded.clear()
        assert reranker.rank(query, ["w1 w2"], **options).counts.cached == 0
        assert pairs(forwarded) == 1
    same: list[dict[str, Any]] = [
        {"normalization": "none"}, {"prior": 0.3}, {"top_n": 1}, {"score_threshold": 0},
    ]  # fmt: skip
    for options in same:
        assert reranker.rank("a", ["w1 w2"], **options).counts.cached == 1


def test_query_and_text_are_kept_apart() -> None:
    reranker = Reranker(scorer=Cached(Numbers(digest="d")))
    reranker.rank("1", ["23"])
    assert reranker.rank("12", ["3"]).counts.cached == 0
    assert reranker.rank('1"', ["23"]).counts.cached == 0


@stores
def test_models_share_no_entry(
    place: Callable[[Path], dict[str, Any]], tmp_path: Path, tiny: Path
) -> None:
    folder = place(tmp_path / "cache")
    Reranker(scorer=Cached(Local(tiny, backend="onnx"), **folder)).rank("a", TEXTS)
    other = shutil.copytree(tiny, tmp_path / "other")
    same = Reranker(scorer=Cached(Local(other, backend="onnx"), **folder)).rank("a", TEXTS)
    # By what is in its files, wherever they are.
    assert same.counts.cached == (5 if folder else 0)
    changes: dict[str, Callable[[], object]] = {
        "weights": lambda: _train(other),
        "tokenizer": lambda: _append(other / "tokenizer.json"),
        "config": lambda: _configure(other, id2label={"0": "relevance"}),
    }
    for change in changes.values():
        change()
        found = Reranker(scorer=Cached(Local(other, backend="onnx"), **folder)).rank("a", TEXTS)
        assert found.counts.cached == 0
        expected = Reranker(other, backend="onnx").rank("a", TEXTS)
        assert facts(found) == facts(expected)


def _train(folder: Path) -> None:
    graph = onnx.load(folder / "model.onnx")
    (table,) = (each for each in graph.graph.initializer if each.name == "table")
    values = onnx.numpy_helper.to_array(table) * np.float32(1.5)
    table.CopyFrom(onnx.numpy_helper.from_array(values, "table"))
    onnx.save(graph, folder / "model.onnx")


def _append(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")


def _configure(folder: Path, **more: Any) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | more), encoding="utf-8")


def test_weights_beside_the_graph_are_in_the_key(tmp_path: Path) -> None:
    model = tiny_models.split(tmp_path / "model", "data")
    reranker = Reranker(scorer=Cached(Local(model, backend="onnx"), folder=tmp_path / "cache"))
    reranker.rank("a", TEXTS)
    data = bytearray((model / "data").read_bytes())
    # The weight of one of the words.
    at = 4 * tiny_models.IDS["good"]
    data[at : at + 4] = np.float32(7).tobytes()
    (model / "data").write_bytes(data)
    again = Reranker(scorer=Cached(Local(model, backend="onnx"), folder=tmp_path / "cache"))
    ranking = again.rank("a", TEXTS)
    assert ranking.counts.cached == 0
    assert facts(ranking) == facts(Reranker(model, backend="onnx").rank("a", TEXTS))


class Other(SequenceClassification):
    """Another way to read a model's outputs."""


def test_whatever_moves_a_logit_moves_the_digest(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = opening.load_model(LoadOptions(model=tiny, backend="onnx"))
    way, reader = model.way, model.reader
    elsewhere: Any = SimpleNamespace(device="cuda:0")
    others = [
        replace(model, way=way._replace(precision="bf16")),
        replace(model, way=way._replace(backend="openvino")),
        replace(model, backend=elsewhere),
        replace(model, reader=replace(reader, max_length=16)),
        replace(model, reader=replace(reader, window=16)),
        replace(model, reader=replace(reader, family=Other())),
    ]
    first = identity.digest_of(model)
    found = [first, *map(identity.digest_of, others)]
    monkeypatch.setattr("onnxruntime.__version__", "0.0.1")
    found.append(identity.digest_of(model))
    monkeypatch.setattr("resift.__version__", "0.0.1")
    found.append(identity.digest_of(model))
    monkeypatch.setattr(machine, "processor", lambda: PROCESSORS["unknown"])
    found.append(identity.digest_of(model))
    assert None not in found
    assert len(set(found)) == len(found)
    monkeypatch.undo()
    assert identity.digest_of(model) == first


def test_precisions_and_backends_share_no_entry(tmp_path: Path) -> None:
    model = tiny_models.build(tmp_path / "model")
    tiny_models.build(model, precision="fp16")
    ways = [{"precision": "fp32"}, {"precision": "fp16"}, {"backend": "openvino"}]
    for options in ways:
        scorer = Cached(Local(model, **{"backend": "onnx", **options}), folder=tmp_path / "cache")  # type: ignore[arg-type]
        assert Reranker(scorer=scorer).rank("a", TEXTS).counts.cached == 0
        assert Reranker(scorer=scorer).rank("a", TEXTS).counts.cached == len(TEXTS)


# What is kept


def test_only_what_was_scored_is_kept() -> None:
    scorer = Numbers(missing="1", late="2", digest="d")
    reranker = Reranker(scorer=Cached(scorer))
    first = reranker.rank("q", ["1", "2", "3"])
    again = reranker.rank("q", ["1", "2", "3"])
    assert scorer.asked == [("1", "2", "3"), ("1", "2")]
    assert first.results == again.results
    assert (again.counts.cached, again.counts.pruned_documents, again.status) == (1, 1, "partial")


def test_a_nan_is_not_kept() -> None:
    scorer = Numbers(digest="d")
    reranker = Reranker(scorer=Cached(scorer))
    for _ in range(2):
        with pytest.raises(NonFiniteScoreError):
            reranker.rank("q", ["1", "nan", "inf"])
    assert scorer.asked == [("1", "nan", "inf"), ("nan", "inf")]


def test_a_value_that_is_no_logit_is_not_kept() -> None:
    scorer = Numbers(digest="d")
    scorer.source = replace(scorer.source, scale="order")
    reranker = Reranker(scorer=Cached(scorer))
    for _ in range(2):
        assert reranker.rank("q", ["1", "2"]).counts.cached == 0


def test_a_scorer_without_a_digest_is_asked_for_every_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Bare:
        def __init__(self) -> None:
            self.numbers = Numbers("bare")
            self.source, self.warm_up = self.numbers.source, self.numbers.warm_up
            self.score = self.numbers.score

    for scorer in (Numbers("bare"), Bare()):
        caplog.clear()
        reranker = Reranker(scorer=Cached(scorer))
        for _ in range(2):
            assert reranker.rank("q", ["1", "2"]).counts.cached == 0
        (message,) = caplog.messages
        assert message.startswith("bare has no digest")


def test_a_model_whose_files_are_gone_is_asked_for_every_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    local = Local(tiny_models.build(tmp_path / "model"), backend="onnx")
    expected = Reranker(scorer=local).rank("a", TEXTS)
    (tmp_path / "model/tokenizer.json").unlink()
    assert Reranker(scorer=Cached(local)).rank("a", TEXTS).results == expected.results
    assert "tokenizer.json" in caplog.text


def test_what_is_not_loaded_in_time_is_late(
    tiny: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, loading = opening.load_model, threading.Event()

    def slow(options: LoadOptions) -> LoadedModel:
        loading.wait(30)
        return load(options)

    monkeypatch.setattr(opening, "load_model", slow)
    reranker = Reranker(scorer=Cached(Local(tiny, backend="onnx")))
    ranking = reranker.rank("a", TEXTS, deadline_ms=30)
    assert ([each.score for each in ranking], ranking.status) == ([None] * len(TEXTS), "partial")
    assert "digest" not in caplog.text
    loading.set()
    reranker.warm_up()
    assert reranker.rank("a", TEXTS, deadline_ms=30_000).counts.scored == len(TEXTS)
    ranking = reranker.rank("a", TEXTS, deadline_ms=30)
    assert (ranking.counts.cached, ranking.status) == (len(TEXTS), "complete")


def test_warming_up_tells_the_model_from_others(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[LoadedModel] = []

    def counted(model: LoadedModel) -> str | None:
        made.append(model)
        return identity.digest_of(model)

    monkeypatch.setattr("resift.scoring.local.digest_of", counted)
    reranker = Reranker(scorer=Cached(Local(tiny, backend="onnx")))
    reranker.warm_up()
    assert len(made) == 1
    reranker.rank("a", TEXTS)
    assert len(made) == 1


def test_estimates_and_logits_are_not_mixed(tiny: Path) -> None:
    small, large = Numbers("small", digest="small"), Numbers("large", scale=-1, digest="large")
    texts = ["9", "1", "5", "4", "7", "3"]
    plain = Reranker(scorer=Cascade([small, large], keep=[3]), normalization="none")
    cached = Reranker(scorer=Cached(Cascade([small, large], keep=[3])), normalization="none")
    expected = plain.rank("q", texts)
    small.asked, large.asked = [], []
    for cached_texts in (0, 3):
        ranking = cached.rank("q", texts)
        assert ranking.results == expected.results
        # The estimates' hits are no more counted than their pairs are.
        assert ranking.counts.cached == cached_texts
        assert ranking.counts.pruned_documents == 3
    assert small.asked == [tuple(texts)]
    assert large.asked == [("9", "5", "7")]


def test_pruning_goes_by_all_documents() -> None:
    texts = [str(n) for n in range(12)]
    small, large = Numbers("small", digest="small"), Numbers("large", digest="large")
    reranker = Reranker(scorer=Cached(Cascade([small, large], keep=[Margin(1.0)])), prune="auto")
    reranker.rank("q", texts[6:])
    ranking = reranker.rank("q", texts, top_n=2)
    # As without a cache: 11, 10 and 9 are within 1 of the second best.
    assert ranking.counts.pruned_documents == 9
    assert (ranking.counts.cached, ranking.counts.pairs) == (3, 0)


def test_early_exit_is_cached_model_by_model() -> None:
    texts = [f"{n} words on sorting a dictionary by value"[: 9 + n] for n in range(30)]
    options: dict[str, Any] = {"top_n": 3, "prune": "auto"}
    local = Local()
    expected = Reranker(scorer=local).rank("sort a dictionary", texts, **options)
    reranker = Reranker(scorer=Cached(local))
    first, again = (reranker.rank("sort a dictionary", texts, **options) for _ in range(2))
    for ranking in (first, again):
        assert [each.index for each in ranking] == [each.index for each in expected]
        assert ranking.counts.pruned_documents == expected.counts.pruned_documents
    assert facts(first) == facts(again)
    assert again.counts.pairs == 0
    assert again.counts.cached == first.counts.pairs > 0


def test_a_fallback_is_cached_scorer_by_scorer() -> None:
    first, second = Numbers("first", digest="first"), Numbers("second", digest="second")
    reranker = Reranker(scorer=Cached(Fallback(first, second)))
    reranker.rank("q", ["1", "2"])
    first.error = OSError("down")
    # What it said before stands, as before.
    ranking = reranker.rank("q", ["1", "2"])
    assert (ranking.model, ranking.status, ranking.counts.cached) == ("first", "complete", 2)
    ranking = reranker.rank("q", ["1", "2", "3"])
    assert (ranking.model, ranking.status, ranking.counts.cached) == ("second", "fallback", 0)


def test_a_cache_in_a_cache_is_one() -> None:
    inner = Cached(Numbers(digest="d"))
    reranker = Reranker(scorer=Cached(inner))
    reranker.rank("q", ["1"])
    assert Reranker(scorer=inner).rank("q", ["1"]).counts.cached == 1


def test_what_was_found_is_done_in_the_progress() -> None:
    seen: list[tuple[int, int]] = []

    class Watcher(Observer):
        def progress(self, done: int, total: int) -> None:
            seen.append((done, total))

    reranker = Reranker(scorer=Cached(Numbers(digest="d")))
    reranker.rank("q", ["1", "2"])
    reranker.rank("q", ["1", "2", "3"], observer=Watcher())
    assert seen == [(2, 3), (3, 3)]
    seen.clear()
    reranker.rank("q", ["1", "2"], observer=Watcher())
    assert seen == [(2, 2)]


# Bounds


def entries(start: int, stop: int) -> dict[bytes, Entry]:
    return {n.to_bytes(32, "big"): Entry(n / 8, n, n % 2 == 1) for n in range(start, stop)}


@stores
def test_a_store_gives_back_what_it_was_given(
    place: Callable[[Path], dict[str, Any]], tmp_path: Path
) -> None:
    store: Store = Disk(tmp_path, 10**6) if place(tmp_path) else Memory(10**6)
    assert store.get(entries(0, 3)) == {}
    store.put(entries(0, 1200))
    assert store.get(entries(0, 1300)) == entries(0, 1200)
    assert store.get([]) == {}
    store.put({})
    extreme = {b"x" * 32: Entry(float(np.finfo(np.float32).max), 2**40, True)}
    store.put(extreme)
    assert store.get(extreme) == extreme


def test_memory_keeps_what_was_used_last() -> None:
    store = Memory(10 * Memory.ENTRY_BYTES)
    store.put(entries(0, 10))
    assert store.get(entries(0, 2)) == entries(0, 2)
    store.put(entries(10, 16))
    assert store.get(entries(0, 20)) == {**entries(0, 2), **entries(8, 16)}


def test_the_disk_keeps_what_was_written_last(tmp_path: Path) -> None:
    store = Disk(tmp_path, 10 * Disk.ENTRY_BYTES)
    store.put(entries(0, 10))
    store.put(entries(5, 8))
    store.put(entries(10, 16))
    assert store.get(entries(0, 20)) == entries(6, 16)


def test_memory_stays_below_its_bound() -> None:
    bound = 5 * 2**20
    tracemalloc.start()
    try:
        store = Memory(bound)
        before = tracemalloc.get_traced_memory()[0]
        for start in range(0, 60_000, 100):
            store.put({os.urandom(32): Entry(n / 7, n, False) for n in range(start, start + 100)})
        grown = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert 0.5 * bound < grown <= bound


def test_the_file_stays_below_its_bound(tmp_path: Path) -> None:
    bound = 2**20
    store = Disk(tmp_path, bound)
    sizes = []
    for start in range(0, 30_000, 500):
        store.put({os.urandom(32): Entry(n / 7, n, False) for n in range(start, start + 500)})
        sizes.append(sum(each.stat().st_size for each in tmp_path.iterdir()))
    assert 0.5 * bound < max(sizes) <= bound


# Threads and processes


@stores
def test_threads_share_a_cache(
    place: Callable[[Path], dict[str, Any]], tmp_path: Path, tiny: Path
) -> None:
    local = Local(tiny, backend="onnx", max_batch_tokens=1)
    lists = [[f"w{n % 10} w{k}" for k in range(n % 7)] for n in range(60)]
    expected = [facts(Reranker(scorer=local).rank("a", texts)) for texts in lists]
    # Too small for all of them.
    reranker = Reranker(scorer=Cached(local, max_bytes=6000, **place(tmp_path)))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda texts: facts(reranker.rank("a", texts)), lists * 2))
    assert found == expected * 2


def _ranked(folder: str, cache: str, start: int) -> list[Any]:
    scorer = Cached(Local(folder, backend="onnx", max_batch_tokens=1, threads=1), folder=cache)
    reranker = Reranker(scorer=scorer)
    texts = [f"w{n % 10} " * (1 + n % 5) for n in range(start, start + 20)]
    return [facts(reranker.rank("a", texts[n % 10 :])) for n in range(20)]


def test_processes_share_a_file(tmp_path: Path, tiny: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(3, mp_context=context) as pool:
        futures = [
            pool.submit(_ranked, str(tiny), str(tmp_path / "cache"), start) for start in (0, 5, 10)
        ]
        found = [future.result(timeout=120) for future in futures]
    assert found == [_ranked(str(tiny), str(tmp_path / "own"), start) for start in (0, 5, 10)]
    ranking = Reranker(scorer=Cached(Local(tiny, backend="onnx"), folder=tmp_path / "cache")).rank(
        "a", ["w1 w1", "w1 " * 2]
    )
    assert on_file(tmp_path / "cache").exists()
    assert ranking.counts.documents == 2


# From 3.12 on, Python warns of every fork of a program with threads: what this one does.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@stores
def test_a_fork_goes_on(place: Callable[[Path], dict[str, Any]], tmp_path: Path) -> None:
    scorer = Numbers(digest="d")
    reranker = Reranker(scorer=Cached(scorer, **place(tmp_path)), normalization="none")
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            reranker.rank("q", [str(random.randrange(100)) for _ in range(20)])

    # A thread holds the lock, or has the file open, when the process forks.
    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(10):
            time.sleep(0.005)
            pid = os.fork()
            if pid == 0:
                status = 1
                # A lock that was taken over would be waited for, for ever.
                signal.alarm(60)
                try:
                    texts = [str(n) for n in range(100)]
                    both = [reranker.rank("q", texts) for _ in range(2)]
                    right = all(r.logit == r.index for ranking in both for r in ranking)
                    status = 0 if right and both[1].counts.cached == 100 else 2
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        stop.set()
        thread.join()


# What may happen to the file


def fill(folder: Path, digest: str = "d") -> tuple[Reranker, Numbers]:
    scorer = Numbers(digest=digest)
    return Reranker(scorer=Cached(scorer, folder=folder), normalization="none"), scorer


MANY = [str(n) for n in range(300)]


def check_right(reranker: Reranker) -> Ranking:
    ranking = reranker.rank("q", MANY)
    assert [(r.index, r.logit) for r in ranking] == [(n, float(n)) for n in reversed(range(300))]
    assert ranking.counts.cached + ranking.counts.pairs == 300
    return ranking


def test_damage_makes_no_other_score(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    check_right(fill(tmp_path)[0])
    good = on_file(tmp_path).read_bytes()
    noticed = 0
    for seed in range(150):
        rng = random.Random(seed)
        damaged = bytearray(good)
        for _ in range(rng.choice([1, 5, 50])):
            at = rng.randrange(len(damaged))
            damaged[at] ^= 1 << rng.randrange(8)
        on_file(tmp_path).write_bytes(damaged)
        caplog.clear()
        check_right(fill(tmp_path)[0])
        noticed += bool(caplog.messages)
    # SQLite's own bytes aren't sealed: what they lose may only not be found.
    assert noticed > 75


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"SQLite format 3\0" + bytes(4096), os.urandom(8192)],
    ids=["empty", "text", "header", "noise"],
)
def test_a_file_of_another_kind_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    check_right(fill(tmp_path)[0])
    path = on_file(tmp_path)
    path.write_bytes(content)
    reranker, scorer = fill(tmp_path)
    check_right(reranker)
    check_right(reranker)
    if content:
        assert path.read_bytes() == content
        assert str(path) in caplog.text
        assert len(caplog.messages) == 1
        assert scorer.asked == [tuple(MANY)] * 2
    else:
        # As SQLite leaves one that it has just made.
        assert (caplog.messages, scorer.asked) == ([], [tuple(MANY)])


def test_a_truncated_file_makes_no_other_score(tmp_path: Path) -> None:
    check_right(fill(tmp_path)[0])
    good = on_file(tmp_path).read_bytes()
    for size in (1, 50, 4096, 5000, len(good) // 2, len(good) - 1):
        on_file(tmp_path).write_bytes(good[:size])
        check_right(fill(tmp_path)[0])


def test_a_database_of_another_program_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    check_right(fill(tmp_path)[0])
    path = on_file(tmp_path)
    path.unlink()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE scores (key BLOB, value BLOB)")
    database.commit()
    database.close()
    before = path.read_bytes()
    check_right(fill(tmp_path)[0])
    assert path.read_bytes() == before
    assert "another program" in caplog.text


def test_an_entry_under_another_key_is_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    check_right(fill(tmp_path)[0])
    database = sqlite3.connect(on_file(tmp_path))
    database.execute("UPDATE scores SET value = (SELECT value FROM scores WHERE id = 7)")
    database.commit()
    database.close()
    reranker, scorer = fill(tmp_path)
    check_right(reranker)
    assert "an entry is damaged" in caplog.text
    # What was scored again is written again.
    for _ in range(2):
        check_right(reranker)
    scorer.asked.clear()
    assert check_right(reranker).counts.cached == 300


def test_a_locked_file_is_done_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reranker, scorer = fill(tmp_path)
    check_right(reranker)
    database = sqlite3.connect(on_file(tmp_path), isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    start = time.monotonic()
    check_right(reranker)
    assert time.monotonic() - start < 5
    assert "locked" in caplog.text
    database.execute("ROLLBACK")
    database.close()
    assert check_right(reranker).counts.cached == 300
    assert len(scorer.asked) == 2


def test_a_folder_that_cannot_be_made_is_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    reranker, _ = fill(tmp_path / "file/cache")
    check_right(reranker)
    check_right(reranker)
    (message,) = caplog.messages
    assert "can't be used" in message


def test_nothing_of_a_query_or_text_is_on_disk(tmp_path: Path, tiny: Path) -> None:
    scorer = Cached(Local(tiny, backend="onnx"), folder=tmp_path)
    Reranker(scorer=scorer).rank("a secret question", ["a confidential answer"])
    content = on_file(tmp_path).read_bytes()
    assert not [word for word in (b"secret", b"confidential", b"answer") if word in content]


def test_a_folder_is_for_its_user_alone(tmp_path: Path) -> None:
    check_right(fill(tmp_path / "cache")[0])
    if os.name == "posix":
        assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_bytes": 0}, "max_bytes"),
        ({"max_bytes": 1.5}, "max_bytes"),
        ({"max_bytes": None}, "max_bytes"),
        ({"folder": 3}, "folder"),
    ],
)
def test_invalid_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        Cached(Numbers(), **options)
    with pytest.raises(InvalidRequestError, match="scorer"):
        Cached("resift-small")  # type: ignore[arg-type]


def test_it_shows_how_it_was_made(tmp_path: Path) -> None:
    assert repr(Cached(Local())) == "Cached(Local('resift-small'), max_bytes=67108864)"
    shown = repr(Cached(Local(), max_bytes=9, folder=tmp_path))
    assert shown == f"Cached(Local('resift-small'), max_bytes=9, folder={str(tmp_path)!r})"
