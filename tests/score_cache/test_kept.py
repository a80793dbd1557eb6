"""Results that the cache of scores keeps, and those that it doesn't."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_models
from numbers_scorer import Numbers
from score_cache.caching import TEXTS

from resift import NonFiniteScoreError, Reranker
from resift.loading import opening
from resift.loading.model import LoadedModel
from resift.options import LoadOptions
from resift.scoring import Cached, Local


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
    ranking = reranker.rank("a", TEXTS, deadline_ms=5_000)
    assert (ranking.counts.cached, ranking.status) == (len(TEXTS), "complete")
