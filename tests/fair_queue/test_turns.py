"""Turns of jobs: whose pass is next, and whose are left out."""

from __future__ import annotations

import threading
from contextlib import closing

import numpy as np
from fair_queue.jobs import Model, job, logits, queue, wait_for


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
