"""Documents that are scored in time, and those that are late."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from deadlines.unscored import TEXTS, unscored
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rankings import order

from resift import InvalidRequestError, Reranker
from resift.backends.onnx import OnnxBackend
from resift.scoring import Cascade, Local
from resift.text.batch import Batch

TOKENS = 5


class Clock:
    """A clock that only forward passes move on: ``cost`` seconds for each token."""

    def __init__(self) -> None:
        self.now = 100.0
        self.cost = 0.001

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    forward: Callable[[Any, Batch], NDArray[np.float32]] = OnnxBackend.forward

    def timed(self: OnnxBackend, batch: Batch) -> NDArray[np.float32]:
        found.now += batch.input_ids.size * found.cost
        return forward(self, batch)

    monkeypatch.setattr(OnnxBackend, "forward", timed)
    monkeypatch.setattr(time, "perf_counter", found)
    return found


def test_the_first_documents_are_scored_in_time(reranker: Reranker, clock: Clock) -> None:
    reranker.rank("a", TEXTS[:1])
    start = clock.now
    ranking = reranker.rank("a", TEXTS, deadline_ms=28)
    # Five passes of 5 ms are 25; a sixth would end after 28.
    assert clock.now - start <= 0.028
    assert order(ranking) == [4, 3, 2, 1, 0, 5, 6, 7, 8, 9]
    assert unscored(ranking) == [5, 6, 7, 8, 9]
    assert ranking.status == "partial"
    assert (ranking.counts.documents, ranking.counts.scored) == (10, 5)
    assert (ranking.counts.pairs, ranking.counts.tokens) == (5, 5 * TOKENS)
    assert ranking.counts.pruned_documents == 0
    expected = {each.index: each.logit for each in reranker.rank("a", TEXTS)}
    assert {each.index: each.logit for each in ranking[:5]} == {n: expected[n] for n in range(5)}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(st.integers(1, 20), min_size=1, max_size=30),
    milliseconds=st.floats(1, 200),
    batch=st.sampled_from([1, 32, 256]),
)
def test_time_is_kept_where_costs_are_known(
    clock: Clock, tmp_path_factory: pytest.TempPathFactory, words: list[int],
    milliseconds: float, batch: int,
) -> None:  # fmt: skip
    reranker = _of(tmp_path_factory, batch)
    texts = [f"{'a ' * count}w{n % 10}" for n, count in enumerate(words)]
    reranker.rank("a", texts)
    start = clock.now
    ranking = reranker.rank("a", texts, deadline_ms=milliseconds)
    spent = clock.now - start
    assert ranking.counts.scored >= 1
    # One pass is run in any case.
    first = (words[0] + 1 + 4) * clock.cost
    assert spent <= max(milliseconds / 1000, first + 1e-9)
    scored = ranking.counts.scored
    distinct = list(dict.fromkeys(texts))
    late = set(distinct[ranking.counts.pairs :])
    assert unscored(ranking) == [n for n, text in enumerate(texts) if text in late]
    assert scored + len(unscored(ranking)) == len(texts)
    assert (ranking.status == "partial") == (scored < len(texts))


_made: dict[int, Reranker] = {}


def _of(factory: pytest.TempPathFactory, batch: int) -> Reranker:
    if batch not in _made:
        folder = tiny_models.build(factory.mktemp("timed"))
        _made[batch] = Reranker(folder, backend="onnx", threads=1, max_batch_tokens=batch)
    return _made[batch]


def test_what_was_late_comes_before_what_lies_beyond(reranker: Reranker, clock: Clock) -> None:
    reranker.rank("a", TEXTS[:1])
    ranking = reranker.rank("a", TEXTS, deadline_ms=16, max_documents=5)
    assert order(ranking) == [2, 1, 0, 3, 4, 5, 6, 7, 8, 9]
    assert ranking.counts.scored == 3
    assert clock.now > 100


def test_an_earlier_stage_leaves_time_to_the_next(tmp_path: Path, clock: Clock) -> None:
    folder = tiny_models.build(tmp_path / "m")
    stages = [Local(folder, backend="onnx", threads=1) for _ in range(2)]
    reranker = Reranker(scorer=Cascade(stages, keep=[3]))
    reranker.rank("a", TEXTS)
    start = clock.now
    ranking = reranker.rank("a", TEXTS, deadline_ms=40)
    assert [each.pairs for each in ranking.stages] == [3, 3]
    assert order(ranking) == [2, 1, 0, 3, 4, 5, 6, 7, 8, 9]
    assert clock.now - start <= 0.04


def test_time_enough_changes_nothing(reranker: Reranker, clock: Clock) -> None:
    ranking = reranker.rank("a", TEXTS, deadline_ms=10_000)
    whole = reranker.rank("a", TEXTS)
    assert ranking.results == whole.results
    assert ranking.status == "complete"
    assert clock.now > 100


def test_several_requests_share_the_time(reranker: Reranker, clock: Clock) -> None:
    reranker.rank("a", TEXTS[:1])
    requests = [("a", TEXTS), ("b", TEXTS[:2]), ("a", []), ("b", TEXTS[::-1])]
    rankings = reranker.rank_many(requests, deadline_ms=43)
    assert [ranking.counts.scored for ranking in rankings] == [3, 2, 0, 3]
    assert [ranking.status for ranking in rankings] == [
        *("partial", "complete"),
        *("complete", "partial"),
    ]


def test_a_window_too_late_leaves_its_document_out(reranker: Reranker, clock: Clock) -> None:
    options: dict[str, Any] = {"long_documents": "windows", "max_length": 12}
    texts = ["w1", "bad " * 60, "w2"]
    reranker.rank("a", texts, **options)
    clock.cost = 0.001
    ranking = reranker.rank("a", texts, deadline_ms=40, **options)
    assert unscored(ranking) == [1, 2]
    assert ranking.counts.pairs > 1


def test_normalization_and_threshold_are_of_scored_ones(reranker: Reranker, clock: Clock) -> None:
    reranker.rank("a", TEXTS[:1])
    ranking = reranker.rank("a", TEXTS, deadline_ms=16, normalization="softmax")
    assert sum(each.score or 0 for each in ranking) == pytest.approx(1)
    assert len(ranking) == 10
    kept = reranker.rank("a", TEXTS, deadline_ms=16, score_threshold=-9.0)
    assert unscored(kept) == []
    assert kept.status == "partial"
    top = reranker.rank("a", TEXTS, deadline_ms=16, top_n=5)
    assert len(top) == 5
    assert unscored(top) == [3, 4]
    assert clock.now > 100


def test_equal_texts_are_scored_together(reranker: Reranker, clock: Clock) -> None:
    reranker.rank("a", TEXTS[:1])
    ranking = reranker.rank("a", ["w1", "w2", "w3", "w1", "w4"], deadline_ms=11)
    assert order(ranking) == [1, 0, 3, 2, 4]
    assert ranking.counts.scored == 3
    assert clock.now > 100


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf"), True, "50"])
def test_an_impossible_deadline_is_refused(reranker: Reranker, wrong: Any) -> None:
    with pytest.raises(InvalidRequestError, match="deadline_ms must be a finite number above 0"):
        reranker.rank("a", TEXTS, deadline_ms=wrong)
