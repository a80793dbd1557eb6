"""Several models in one pool of threads; and what observers and timings say of a call's wait."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import tiny_models

from resift import InvalidRequestError, Observer, OverloadedError, Reranker
from resift.scoring import Local, Pool


class Passes:
    """Notes each pass, and holds it until it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.entered = threading.Semaphore(0)
        self.pairs = self.tokens = 0
        self._lock = threading.Lock()

    def __call__(self, pairs: int, tokens: int) -> None:
        with self._lock:
            self.pairs += pairs
            self.tokens += tokens
        self.entered.release()
        assert self.let.wait(20)


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    return [tiny_models.build(tmp_path / name) for name in ("one", "other")]


def shared(models: Sequence[Path], pool: Pool, **options: Any) -> list[Reranker]:
    return [Reranker(scorer=Local(each, pool=pool, **options)) for each in models]


def test_models_of_a_pool_run_no_more_passes_than_one(two: list[Path]) -> None:
    passes = Passes()
    pool = Pool(on_pass=passes)
    passes.let.set()
    rerankers = shared(two, pool, threads=1)
    for each in rerankers:
        each.warm_up()
    passes.let.clear()
    before = passes.pairs
    while passes.entered.acquire(blocking=False):
        pass
    with ThreadPoolExecutor(2) as callers:
        calls = [callers.submit(each.rank, "a", ["good", "w1"]) for each in rerankers]
        assert passes.entered.acquire(timeout=20)
        assert not passes.entered.acquire(timeout=0.2)
        assert pool.waiting.running == 1
        passes.let.set()
        assert all(len(call.result(timeout=20)) == 2 for call in calls)
    assert passes.pairs == before + 4
    assert pool.waiting.pairs == pool.waiting.tokens == 0


def test_the_bounds_of_a_pool_hold_for_all_its_models(two: list[Path]) -> None:
    passes = Passes()
    passes.let.set()
    one, other = shared(two, Pool(on_pass=passes, max_queue_pairs=2), threads=1, max_batch_tokens=1)
    one.warm_up()
    other.warm_up()
    passes.let.clear()
    while passes.entered.acquire(blocking=False):
        pass
    with ThreadPoolExecutor(1) as callers:
        call = callers.submit(one.rank, "a", ["good", "w1", "w2"])
        assert passes.entered.acquire(timeout=20)
        with pytest.raises(OverloadedError, match="max_queue_pairs=2"):
            other.rank("a", ["good"])
        passes.let.set()
        assert len(call.result(timeout=20)) == 3


def test_scores_are_those_of_a_model_by_itself(two: list[Path]) -> None:
    (ranking, _) = (each.rank("a", ["good", "w1"]) for each in shared(two, Pool()))
    assert ranking.results == Reranker(two[0]).rank("a", ["good", "w1"]).results


def test_models_with_other_numbers_of_threads_have_queues_of_their_own(two: list[Path]) -> None:
    pool = Pool()
    one = Local(two[0], pool=pool, threads=1)
    other = Local(two[1], pool=pool, threads=2)
    assert one.loaded.queue is not other.loaded.queue
    assert one.loaded.queue is Local(two[1], pool=pool, threads=1).loaded.queue


def test_a_pickled_model_leaves_its_pool(two: list[Path]) -> None:
    found = pickle.loads(pickle.dumps(Local(two[0], pool=Pool())))
    assert len(Reranker(scorer=found).rank("a", ["good"])) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_of_fork_starts_its_own(two: list[Path]) -> None:
    (one, _) = shared(two, Pool())
    expected = one.rank("a", ["good", "w1"]).results
    child = os.fork()
    if child == 0:
        os._exit(0 if one.rank("a", ["good", "w1"]).results == expected else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    "given", [{"max_queue_pairs": 0}, {"max_queue_tokens": "many"}, {"on_pass": 3}]
)
def test_invalid_arguments_are_named(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(InvalidRequestError, match=name):
        Pool(**given)


def test_a_pool_is_a_pool(two: list[Path]) -> None:
    with pytest.raises(InvalidRequestError, match="pool must be"):
        Local(two[0], pool=3)  # type: ignore[arg-type]


def test_the_time_in_the_queue_is_part_of_the_timings(two: list[Path]) -> None:
    passes = Passes()
    passes.let.set()
    one, other = shared(two, Pool(on_pass=passes), threads=1)
    one.warm_up()
    quick = other.rank("a", ["good"]).timings
    assert 0 <= quick.queue <= quick.infer + 0.01
    passes.let.clear()
    while passes.entered.acquire(blocking=False):
        pass
    with ThreadPoolExecutor(2) as callers:
        callers.submit(one.rank, "a", ["good"])
        assert passes.entered.acquire(timeout=20)
        waiting = callers.submit(other.rank, "a", ["good"])
        assert not passes.entered.acquire(timeout=0.3)
        passes.let.set()
        assert 0.2 < waiting.result(timeout=20).timings.queue < 20


class Planned(Observer):
    def __init__(self, most: int = 1000) -> None:
        self.most, self.seen = most, []  # type: ignore[var-annotated]

    def planned(self, pairs: int, tokens: int) -> None:
        self.seen.append((pairs, tokens))
        if tokens > self.most:
            raise InvalidRequestError(f"{tokens} tokens are more than {self.most}")


def test_an_observer_hears_of_the_work_before_it_is_done(two: list[Path]) -> None:
    reranker, watcher = Reranker(two[0]), Planned()
    ranking = reranker.rank("a", ["good", "w1 w2", "good"], observer=watcher)
    assert watcher.seen == [(ranking.counts.pairs, ranking.counts.tokens)]
    with pytest.raises(InvalidRequestError, match="more than 3"):
        reranker.rank("a", ["good"], observer=Planned(3))


def test_an_observer_without_the_method_is_one_too(two: list[Path]) -> None:
    class Old:
        def phase(self, name: str) -> AbstractContextManager[object]:
            return Observer().phase("rank")

        def progress(self, done: int, total: int) -> None:
            pass

    assert len(Reranker(two[0]).rank("a", ["good"], observer=Old())) == 1  # type: ignore[arg-type]
