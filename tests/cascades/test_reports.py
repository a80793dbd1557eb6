"""Stages, counts, progress and status: what is said of a cascade's ranking."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from cascades.ranked import TEXTS, rank
from numbers_scorer import Numbers

from resift import Observer
from resift.scoring import Cascade


def test_each_stage_is_reported() -> None:
    cascade = Cascade([Numbers("small"), Numbers("large")], keep=[2])
    ranking = rank(cascade, TEXTS)
    shown = [
        (each.model, each.texts, each.pairs, each.tokens, each.padded_tokens)
        for each in ranking.stages
    ]
    assert shown == [("small", 7, 7, 21, 28), ("large", 2, 2, 6, 8)]
    counts = ranking.counts
    # The estimates aren't among them.
    assert (counts.pairs, counts.tokens, counts.padded_tokens) == (2, 6, 8)
    assert sum(each.seconds for each in ranking.stages) <= ranking.timings.total


def test_seconds_leave_loading_out(tiny: Path) -> None:
    class Slow(Numbers):
        def _score(self, request: Any, call: Any) -> Any:
            with call.watch.phase("load"):
                time.sleep(0.2)
            return super()._score(request, call)

    ranking = rank(Slow(), ["1", "2"])
    assert ranking.timings.load >= 0.2
    assert ranking.stages[0].seconds <= ranking.timings.total - ranking.timings.load


def test_truncation_is_that_of_the_last_scorer_that_saw_a_document() -> None:
    texts = ["1", "22", "333", "4444"]
    ranking = rank(Cascade([Numbers(), Numbers()], keep=[2]), texts, max_length=1)
    assert [each.truncated_tokens for each in ranking] == [3, 2]
    assert ranking.counts.truncated_documents == 3


def test_progress_counts_what_was_cut() -> None:
    seen: list[tuple[int, int]] = []

    class Watcher(Observer):
        def progress(self, done: int, total: int) -> None:
            seen.append((done, total))

    cascade = Cascade([Numbers(), Numbers(), Numbers()], keep=[5, 2])
    rank(cascade, TEXTS, observer=Watcher())
    assert {total for _, total in seen} == {7}
    assert [done for done, _ in seen] == [0, 0, 2, 2, 5, 7]
    assert all(before <= after for (before, _), (after, _) in pairwise(seen))


def test_a_fallback_of_any_stage_is_said() -> None:
    class Worn(Numbers):
        def _score(self, request: Any, call: Any) -> Any:
            answer = super()._score(request, call)
            return replace(answer, source=replace(answer.source, status="fallback"))

    for scorers in ([Worn(), Numbers()], [Numbers(), Worn()]):
        cascade = Cascade(scorers, keep=[2])
        assert rank(cascade, TEXTS).status == "fallback"
        expected = "complete" if isinstance(scorers[0], Worn) else "fallback"
        assert rank(cascade, TEXTS[:2]).status == expected
