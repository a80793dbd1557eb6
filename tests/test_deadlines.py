"""Documents that aren't scored: for lack of time, by max_documents, or after an error."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from resift import (
    InvalidRequestError,
    NonFiniteScoreError,
    Ranking,
    Reranker,
    TimingEvent,
    UnsupportedModelError,
)
from resift.backends.onnx import OnnxBackend
from resift.cli.main import main
from resift.loading import opening
from resift.loading.costs import Costs
from resift.loading.model import LoadedModel
from resift.options import LoadOptions
from resift.scoring import Cascade, Local
from resift.text.batch import Batch

# Of five tokens each, with the query and special ones; the last is the best.
TEXTS = [f"w{n}" for n in range(10)]
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


@pytest.fixture
def reranker(tmp_path: Path) -> Reranker:
    folder = tiny_models.build(tmp_path / "model")
    made = Reranker(folder, backend="onnx", threads=1, normalization="none")
    made.warm_up()
    return made


def order(ranking: Ranking) -> list[int]:
    return [each.index for each in ranking]


def unscored(ranking: Ranking) -> list[int]:
    found = [each for each in ranking if each.score is None]
    assert all(each.logit is None and each.posterior is None for each in found)
    return [each.index for each in found]


# In time


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


# Before the model is loaded


@pytest.fixture
def slow_load(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Loading waits for this."""
    go = threading.Event()
    load = opening.load_model

    def slow(options: LoadOptions) -> LoadedModel:
        assert go.wait(timeout=20)
        return load(options)

    monkeypatch.setattr(opening, "load_model", slow)
    return go


def test_a_model_that_is_not_loaded_in_time_is_said(
    tmp_path: Path, slow_load: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    reranker = Reranker(tiny_models.build(tmp_path / "m"), backend="onnx")
    with caplog.at_level(logging.WARNING, "resift"):
        ranking = reranker.rank("a", TEXTS, deadline_ms=20, top_n=3)
    assert "isn't loaded at the deadline of 20 ms" in caplog.text
    assert unscored(ranking) == [0, 1, 2]
    assert (ranking.status, ranking.counts.scored, ranking.timings.infer) == ("partial", 0, 0)
    slow_load.set()
    # It was loaded on.
    assert reranker.rank("a", TEXTS).counts.scored == 10


@pytest.mark.parametrize("options", [{"prune": "auto", "top_n": 2}, {"prior": "auto"}], ids=str)
def test_nothing_waits_for_a_model_beyond_the_deadline(
    tmp_path: Path, slow_load: threading.Event, options: dict[str, Any]
) -> None:
    model = tiny_models.build(tmp_path / "m")
    cascade = Cascade([Local(model, backend="onnx"), Local(model, backend="onnx")], keep=[3])
    for reranker in (Reranker(model, backend="onnx"), Reranker(scorer=cascade)):
        ranking = reranker.rank("a", TEXTS, deadline_ms=20, **options)
        assert ranking.counts.scored == 0
        assert ranking.status == "partial"
    slow_load.set()


def test_warming_up_takes_the_time_it_takes(tmp_path: Path, slow_load: threading.Event) -> None:
    reranker = Reranker(tiny_models.build(tmp_path / "m"), backend="onnx", deadline_ms=1)
    threading.Timer(0.2, slow_load.set).start()
    reranker.warm_up()
    assert slow_load.is_set()
    assert reranker.rank("a", TEXTS).counts.scored >= 1


def test_an_error_of_loading_in_time_is_raised(tmp_path: Path) -> None:
    folder = tiny_models.build(tmp_path / "m")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UnsupportedModelError, match="tokenizer"):
        Reranker(folder, backend="onnx").rank("a", TEXTS, deadline_ms=20_000)


# Costs


def test_costs_are_learnt_by_length_and_size() -> None:
    costs = Costs()
    assert costs.of_pass(1, 100) == 0
    for _ in range(30):
        costs.learn_pass(1, 30, 0.003)
        costs.learn_pass(8, 30, 0.012)
        costs.learn_pass(1, 500, 0.1)
    assert costs.of_pass(1, 30) == pytest.approx(0.003)
    assert costs.of_pass(8, 30) == pytest.approx(0.012)
    assert costs.of_pass(1, 500) == pytest.approx(0.1)
    # What is unknown counts as the nearest.
    assert costs.of_pass(1, 300) == pytest.approx(300 * 0.1 / 500)
    for _ in range(100):
        costs.learn_pass(1, 30, 0.006)
    assert costs.of_pass(1, 30) == pytest.approx(0.006, rel=0.01)


def test_costs_that_vary_are_taken_higher() -> None:
    costs = Costs()
    for n in range(200):
        costs.learn_pass(1, 10, 0.001 if n % 2 else 0.002)
    assert 0.0020 < costs.of_pass(1, 10) < 0.0026
    costs.learn_reading(0, 1.0)
    assert costs.of_reading(10) == 0
    costs.learn_reading(1000, 0.001)
    assert costs.of_reading(500) == pytest.approx(0.0005)


# The first documents alone


@pytest.mark.parametrize("most", [1, 3, 10, 50])
def test_documents_beyond_max_documents_follow(reranker: Reranker, most: int) -> None:
    ranking = reranker.rank("a", TEXTS, max_documents=most)
    first = min(most, 10)
    assert order(ranking) == [*range(first - 1, -1, -1), *range(first, 10)]
    assert unscored(ranking) == [*range(first, 10)]
    assert ranking.counts.pairs == ranking.counts.scored == first
    assert ranking.status == ("complete" if most >= 10 else "partial")
    assert ranking.counts.pruned_documents == 0


def test_the_place_counts_for_max_documents_and_not_the_text(reranker: Reranker) -> None:
    ranking = reranker.rank("a", ["w1", "w1", "w2", "w1"], max_documents=2)
    assert unscored(ranking) == [2, 3]
    assert ranking.counts.pairs == 1


def test_a_prior_and_the_first_documents_go_together(reranker: Reranker) -> None:
    scores = [float(10 - n) for n in range(10)]
    ranking = reranker.rank("a", TEXTS, max_documents=4, prior=5.0, first_stage_scores=scores)
    assert order(ranking) == list(range(10))
    assert unscored(ranking) == [4, 5, 6, 7, 8, 9]


# When scoring fails


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: OnnxBackend, batch: Batch) -> NDArray[np.float32]:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(OnnxBackend, "forward", fail)


@pytest.mark.usefixtures("failing")
def test_errors_are_raised_by_default(reranker: Reranker) -> None:
    for options in ({}, {"on_error": "raise"}):
        with pytest.raises(RuntimeError, match="out of memory"):
            reranker.rank("a", TEXTS, **options)  # type: ignore[arg-type]


@pytest.mark.usefixtures("failing")
def test_the_first_stages_order_may_stand(
    reranker: Reranker, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[TimingEvent] = []
    made = Reranker(
        reranker.options["model"], backend="onnx", on_error="first_stage", on_timing=events.append
    )
    with caplog.at_level(logging.WARNING, "resift"):
        ranking = made.rank("a", TEXTS, top_n=4)
    assert "out of memory. The first stage's order stands" in caplog.text
    assert order(ranking) == unscored(ranking) == [0, 1, 2, 3]
    assert ranking.status == events[0].status == "fallback"
    assert ranking.error == events[0].error == "RuntimeError: out of memory"
    assert (ranking.counts.scored, ranking.counts.pruned_documents) == (0, 0)
    assert json.loads(json.dumps(ranking.to_dict()))["error"] == ranking.error
    assert len(made.rank("a", TEXTS, score_threshold=0.1)) == 0
    later = asyncio.run(made.arank("a", TEXTS))
    assert unscored(later) == list(range(10))


def test_nan_may_leave_the_order_given(reranker: Reranker) -> None:
    texts = ["w1", "nan", "w2"]
    with pytest.raises(NonFiniteScoreError):
        reranker.rank("a", texts)
    ranking = reranker.rank("a", texts, on_error="first_stage")
    assert unscored(ranking) == [0, 1, 2]
    assert "NonFiniteScoreError" in str(ranking.error)


def test_errors_of_the_caller_are_raised(reranker: Reranker) -> None:
    with pytest.raises(InvalidRequestError, match="max_length"):
        reranker.rank("a", TEXTS, on_error="first_stage", max_length=9999)
    with pytest.raises(InvalidRequestError, match="on_error"):
        reranker.rank("a", TEXTS, on_error="pass")  # type: ignore[arg-type]


@pytest.mark.usefixtures("failing")
def test_scores_alone_have_no_order_to_fall_back_to(reranker: Reranker) -> None:
    made = Reranker(reranker.options["model"], backend="onnx", on_error="first_stage")
    with pytest.raises(RuntimeError, match="out of memory"):
        made.score("a", TEXTS)


# From a command line


def test_a_command_line_shows_what_was_not_scored(
    reranker: Reranker, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["rank", "-m", str(reranker.options["model"]), "--backend", "onnx", "a", *TEXTS[:3]]
    assert main([*base, "--max-documents", "1", "--deadline-ms", "60000"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[2:4]] == ["-", "-"]
    assert "partial" in lines[-1]
