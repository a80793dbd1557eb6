"""Passes of several jobs, run together: which are, and that each pair is run once."""

from __future__ import annotations

import pytest
from fair_queue.jobs import Model, job, logits, pair, queue, wait_for
from hypothesis import given, settings
from hypothesis import strategies as st

from resift.loading.passes import Pass
from resift.loading.queue import Job
from resift.text.batching import plan_in_order


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
