"""The queue of forward passes: fair, bounded, shared, and left empty."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from resift import OverloadedError, Reranker
from resift.backends.onnx import OnnxBackend
from resift.loading.passes import Limits, Pass
from resift.loading.queue import FairQueue, Job
from resift.text.batch import Batch, Pair
from resift.text.batching import plan_in_order


def pair(number: int) -> Pair:
    return Pair(np.zeros(0, np.int32), np.array([number], np.int32))


class Model:
    """Gives each pair its number as its logit, when it is let."""

    def __init__(self) -> None:
        self.let = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)
        self.seen: list[list[int]] = []

    def forward(self, pairs: Sequence[Pair], length: int) -> NDArray[np.float32]:
        numbers = [int(each.document[0]) for each in pairs]
        self.seen.append(numbers)
        self.entered.release()
        assert self.let.acquire(timeout=20)
        if -1 in numbers:
            raise ValueError("a pair is at fault")
        return np.array(numbers, np.float32)

    def run_freely(self) -> None:
        self.let.release(10_000)


@pytest.fixture
def model() -> Iterator[Model]:
    found = Model()
    yield found
    found.run_freely()


def queue(workers: int = 1, **limits: int) -> FairQueue:
    return FairQueue(
        ThreadPoolExecutor(workers), workers, Limits.of(limits.get("pairs"), limits.get("tokens"))
    )


def job(
    owner: FairQueue,
    model: Model,
    numbers: Sequence[int],
    *,
    budget: int = 1,
    length: int = 1,
    pads: bool = True,
    cancelled: Callable[[], bool] = lambda: False,
    in_time: Callable[[Pass], bool] | None = None,
) -> Job:
    """A job of one pass for each number."""
    found = Job(
        owner, model.forward, budget=budget, pads=pads, cancelled=cancelled, in_time=in_time
    )
    found.pairs = [pair(number) for number in numbers]
    found.add([Pass([at], length) for at in range(len(numbers))])
    return found


def logits(found: Job) -> list[float]:
    """The logits by pair; NaN where a pair wasn't run."""
    values = np.full(len(found.pairs), np.nan)
    while found.outstanding:
        for done in found.next():
            values[list(done.pairs)] = done.logits
    return [float(each) for each in values]


def wait_for(model: Model, passes: int = 1) -> None:
    for _ in range(passes):
        assert model.entered.acquire(timeout=20)


def test_a_small_job_waits_for_what_runs_and_for_no_more(model: Model) -> None:
    owner = queue(workers=2)
    giant = job(owner, model, range(100, 500))
    wait_for(model, 2)
    small = job(owner, model, [1, 2])
    model.let.release(2)
    wait_for(model, 2)
    assert sorted(each for seen in model.seen[2:4] for each in seen)[0] in (1, 2)
    model.run_freely()
    assert logits(small) == [1, 2]
    assert logits(giant) == list(range(100, 500))


def test_jobs_of_one_size_take_turns(model: Model) -> None:
    owner = queue()
    jobs = [job(owner, model, range(10 * n, 10 * n + 10)) for n in range(3)]
    model.run_freely()
    for n, each in enumerate(jobs):
        assert logits(each) == list(range(10 * n, 10 * n + 10))
    turns = [seen[0] // 10 for seen in model.seen]
    for place in range(3, 30, 3):
        assert sorted(turns[place : place + 3]) == [0, 1, 2] or place > 26


def test_a_new_job_does_not_make_up_for_lost_time(model: Model) -> None:
    owner = queue()
    first = job(owner, model, range(10))
    model.let.release(8)
    wait_for(model, 9)
    second = job(owner, model, range(100, 110))
    model.run_freely()
    assert logits(first) == list(range(10))
    assert logits(second) == list(range(100, 110))
    # The first isn't kept waiting until the second has had eight.
    assert [9] in model.seen[9:12]


def test_what_is_too_much_is_refused_at_once(model: Model) -> None:
    owner = queue(pairs=3, tokens=100)
    running = job(owner, model, [0])
    wait_for(model)
    waiting = job(owner, model, [1, 2])
    with pytest.raises(OverloadedError, match=r"2 pairs are waiting.*2 more.*max_queue_pairs=3"):
        job(owner, model, [3, 4])
    with pytest.raises(OverloadedError, match=r"2 tokens are waiting.*99 more"):
        job(owner, model, [3], length=99)
    with pytest.raises(OverloadedError, match="max_queue_pairs=3"):
        owner.check(2)
    owner.check(1)
    one_more = job(owner, model, [5])
    model.run_freely()
    assert [logits(each) for each in (running, waiting, one_more)] == [[0], [1, 2], [5]]
    # Alone, any job is let in.
    assert logits(job(owner, model, range(50))) == list(range(50))


def test_who_has_gone_leaves_nothing(model: Model) -> None:
    owner = queue(pairs=10)
    gone = threading.Event()
    running = job(owner, model, [0])
    wait_for(model)
    left = job(owner, model, range(1, 9), cancelled=gone.is_set)
    gone.set()
    model.run_freely()
    assert logits(running) == [0]
    assert all(np.isnan(logits(left)))
    assert left.over
    assert model.seen == [[0]]
    with closing(job(owner, model, range(20))) as closed:
        pass
    assert closed.outstanding
    after = job(owner, model, range(100, 120))
    assert logits(after) == list(range(100, 120))


def test_passes_that_would_be_late_are_not_started(model: Model) -> None:
    owner = queue()
    allowed = iter([True, True, False])
    found = job(owner, model, range(9), in_time=lambda _: next(allowed))
    model.run_freely()
    # The first is run without being asked for.
    assert np.isnan(logits(found)).tolist() == [False] * 3 + [True] * 6
    assert found.over
    late = job(owner, model, range(9), in_time=lambda _: False)
    assert logits(late)[0] == 0
    assert np.isnan(logits(late)[1:]).all()


def test_small_passes_are_joined_where_all_workers_are_busy(model: Model) -> None:
    owner = queue()
    first = job(owner, model, [0], budget=4)
    wait_for(model)
    others = [job(owner, model, [n], budget=4) for n in range(1, 7)]
    model.run_freely()
    assert [logits(each) for each in (first, *others)] == [[n] for n in range(7)]
    assert [len(seen) for seen in model.seen] == [1, 4, 2]


def test_passes_are_not_joined_while_a_worker_is_free(model: Model) -> None:
    owner = queue(workers=3)
    jobs = [job(owner, model, [n], budget=4) for n in range(2)]
    wait_for(model, 2)
    model.run_freely()
    assert [logits(each) for each in jobs] == [[0], [1]]
    assert sorted(model.seen) == [[0], [1]]


def test_lengths_are_mixed_only_where_a_backend_pads(model: Model) -> None:
    owner = queue()
    first = job(owner, model, [0], budget=8, pads=False)
    wait_for(model)
    others = [
        job(owner, model, [n], budget=8, pads=False, length=length)
        for n, length in ((1, 1), (2, 2), (3, 1), (4, 2))
    ]
    model.run_freely()
    assert [logits(each) for each in (first, *others)] == [[0], [1], [2], [3], [4]]
    assert model.seen == [[0], [1, 3], [2, 4]]


def test_passes_with_a_deadline_are_not_joined(model: Model) -> None:
    owner = queue()
    first = job(owner, model, [0], budget=8)
    wait_for(model)
    others = [job(owner, model, [n], budget=8, in_time=lambda _: True) for n in (1, 2)]
    plain = job(owner, model, [3], budget=8)
    model.run_freely()
    assert [logits(each) for each in (first, *others, plain)] == [[0], [1], [2], [3]]
    assert [len(seen) for seen in model.seen] == [1] * 4


def test_a_budget_of_one_joins_nothing(model: Model) -> None:
    owner = queue()
    jobs = [job(owner, model, [n]) for n in range(4)]
    model.run_freely()
    assert [logits(each) for each in jobs] == [[n] for n in range(4)]
    assert [len(seen) for seen in model.seen] == [1] * 4


def test_only_the_owner_hears_of_an_error(model: Model) -> None:
    owner = queue()
    first = job(owner, model, [0], budget=8)
    wait_for(model)
    others = [job(owner, model, [n], budget=8) for n in (1, -1, 3)]
    model.run_freely()
    assert logits(first) == [0]
    assert logits(others[0]) == [1]
    with pytest.raises(ValueError, match="at fault"):
        logits(others[1])
    assert logits(others[2]) == [3]


@settings(deadline=None, max_examples=40)
@given(
    jobs=st.lists(st.lists(st.integers(1, 6), max_size=6), max_size=8),
    workers=st.integers(1, 3),
    budget=st.sampled_from([1, 4, 12]),
    pads=st.booleans(),
    at_once=st.booleans(),
)
def test_every_pair_is_run_once(
    jobs: list[list[int]], workers: int, budget: int, pads: bool, at_once: bool
) -> None:
    model = Model()
    model.run_freely()
    owner = queue(workers=workers, pairs=10_000)
    found = []
    for n, lengths in enumerate(jobs):
        each = Job(
            owner,
            model.forward,
            budget=budget,
            pads=pads,
            cancelled=lambda: False,
            at_once=at_once,
        )
        each.pairs = [pair(100 * n + at) for at in range(len(lengths))]
        each.add([Pass([at], length) for at, length in enumerate(lengths)])
        found.append(each)
    for n, (each, lengths) in enumerate(zip(found, jobs, strict=True)):
        assert logits(each) == [100 * n + at for at in range(len(lengths))]
    everything = [100 * n + at for n, lengths in enumerate(jobs) for at in range(len(lengths))]
    assert sorted(each for seen in model.seen for each in seen) == everything
    assert (owner._waiting_pairs, owner._waiting_tokens, owner._jobs) == (0, 0, [])


@given(
    lengths=st.lists(st.integers(1, 40), max_size=30),
    budget=st.integers(1, 100),
    equal=st.booleans(),
)
def test_plans_in_order_keep_the_order_and_the_budget(
    lengths: list[int], budget: int, equal: bool
) -> None:
    batches = plan_in_order(lengths, budget, equal_lengths=equal)
    assert [at for batch in batches for at in batch] == list(range(len(lengths)))
    for batch in batches:
        sizes = [lengths[at] for at in batch]
        assert len(batch) == 1 or len(batch) * max(sizes) <= budget
        assert not equal or len(set(sizes)) == 1


# Through a Reranker


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Forward passes wait for the second event; the first says that one has begun."""
    forward: Callable[[Any, Batch], NDArray[np.float32]] = OnnxBackend.forward
    begun, go = threading.Event(), threading.Event()

    def slow(self: OnnxBackend, batch: Batch) -> NDArray[np.float32]:
        begun.set()
        assert go.wait(timeout=20)
        return forward(self, batch)

    monkeypatch.setattr(OnnxBackend, "forward", slow)
    yield begun, go
    go.set()


def test_a_full_queue_refuses_a_call(
    tmp_path: Path, held: tuple[threading.Event, threading.Event]
) -> None:
    begun, go = held
    options: dict[str, Any] = {"backend": "onnx", "threads": 1, "max_batch_tokens": 1}
    reranker = Reranker(tiny_models.build(tmp_path / "m"), max_queue_pairs=4, **options)
    texts = [f"w{n}" for n in range(5)]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(reranker.rank, "a", texts)
        assert begun.wait(timeout=20)
        with pytest.raises(OverloadedError, match="max_queue_pairs=4"):
            reranker.rank("b", texts[:2])
        assert not waiting.done()
        go.set()
        assert len(waiting.result(timeout=20)) == 5
    assert len(reranker.rank("b", texts[:2])) == 2
