"""Rows on outputs: truncation, scores and order."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resift import (
    Calibration,
    InvalidRequestError,
    NonFiniteScoreError,
    Prior,
    TimingEvent,
)
from resift.testing.subject import Subject, shared
from resift.testing.texts import QUERY, TEXTS, texts_strategy

PROPERTY = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
)


class ScoreRows(Subject):
    """Rows on scores, and on the documents that are kept."""

    def test_max_length_beyond_the_model_is_refused(self) -> None:
        with pytest.raises(InvalidRequestError, match="100000"):
            self.rank(QUERY, TEXTS, max_length=100_000)

    def test_windows_find_what_truncation_loses(self) -> None:
        document = "The museum is closed on Mondays. " * 200 + TEXTS[0]
        texts = [TEXTS[3], document]
        assert [r.index for r in self.rank(QUERY, texts, max_length=64)] == [0, 1]
        kept = self.rank(QUERY, texts, max_length=64, long_documents="windows")
        assert [r.index for r in kept] == [1, 0]

    def test_max_document_tokens_cuts_documents(self) -> None:
        document = TEXTS[3] + " " + TEXTS[0]
        texts = [document, "x"]
        cut, whole = (
            {r.index: r.score or 0.0 for r in self.rank(QUERY, texts, max_document_tokens=most)}
            for most in (4, 400)
        )
        assert cut[0] < whole[0]

    # Scores

    @pytest.mark.parametrize(
        "normalization",
        ["sigmoid", "none", "minmax", "softmax", Calibration(slope=0.5, intercept=-1.0)],
        ids=str,
    )
    def test_scores_equal_the_engines(self, normalization: Any) -> None:
        ranking = shared.rank(QUERY, TEXTS, normalization=normalization)
        kept = self.rank(QUERY, TEXTS, normalization=normalization, top_n=None)
        assert [(r.index, r.score) for r in kept] == [(r.index, r.score) for r in ranking]

    def test_scores_are_python_floats(self) -> None:
        for result in self.rank(QUERY, TEXTS):
            assert type(result.score) is float
            json.dumps(result.score)

    def test_saturated_scores_keep_the_order_of_logits(self) -> None:
        steep = Calibration(slope=1e6, intercept=1e9)
        kept = self.rank(QUERY, TEXTS, normalization=steep, top_n=None)
        assert {result.score for result in kept} == {1.0}
        assert [r.index for r in kept] == [r.index for r in shared.rank(QUERY, TEXTS)]

    def test_pruning_leaves_scores_unchanged(self) -> None:
        texts = [f"{text} {n}" for n in range(3) for text in TEXTS]
        events: list[TimingEvent] = []
        expected = {r.index: r.score for r in shared.rank(QUERY, texts)}
        kept = self.rank(QUERY, texts, top_n=2, prune="auto", on_timing=events.append)
        assert [result.score for result in kept] == pytest.approx(
            [expected[result.index] for result in kept], abs=1e-5
        )
        assert len(kept) == 2
        assert events[0].pairs == len(texts) - events[0].pruned_documents

    def test_a_prior_counts_places(self) -> None:
        texts = [TEXTS[1], TEXTS[1], *TEXTS]
        kept = self.rank(QUERY, texts, prior=0.3, top_n=None)
        expected = shared.rank(QUERY, texts, prior=0.3)
        assert [(r.index, r.score) for r in kept] == [(r.index, r.score) for r in expected]
        off = self.rank(QUERY, texts, prior=0, top_n=None)
        assert [r.index for r in off] == [r.index for r in shared.rank(QUERY, texts)]
        with pytest.raises(InvalidRequestError, match="prior"):
            self.rank(QUERY, texts, prior=-1)

    def test_a_prior_counts_the_first_stages_scores(self) -> None:
        prior = Prior(place_weight=0.1, score_weight=0.5, score_centre=2.0)
        scores = [9.0, None, *range(len(TEXTS) - 2, 0, -1)]
        documents = self.to_scored(TEXTS, scores)
        subject = self.build(prior=prior, top_n=None, **self.scored_options)
        expected = shared.rank(QUERY, TEXTS, prior=prior, first_stage_scores=scores)
        assert expected[0].posterior != expected[0].logit
        for output in (
            self.run(subject, QUERY, documents),
            asyncio.run(self.arun(subject, QUERY, documents)),
        ):
            kept = self.read(output, documents)
            assert [(r.index, r.score) for r in kept] == [(r.index, r.score) for r in expected]

    def test_threshold_is_on_the_returned_scale_and_before_top_n(self) -> None:
        scores = sorted(shared.score(QUERY, TEXTS, normalization="minmax"), reverse=True)
        options: dict[str, Any] = {"normalization": "minmax", "score_threshold": scores[2]}
        assert [r.score for r in self.rank(QUERY, TEXTS, **options)] == scores[:3]
        assert len(self.rank(QUERY, TEXTS, **options, top_n=2)) == 2
        assert self.rank(QUERY, TEXTS, normalization="minmax", score_threshold=1.5) == []

    def test_threshold_zero_is_honoured(self) -> None:
        options: dict[str, Any] = {"normalization": "none", "score_threshold": 0.0}
        kept = self.rank(QUERY, TEXTS, **options, top_n=None)
        logits = shared.score(QUERY, TEXTS, normalization="none")
        assert min(logits) < 0
        assert len(kept) == sum(logit >= 0 for logit in logits)

    @pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
    def test_scores_are_never_nan(self, monkeypatch: pytest.MonkeyPatch, wrong: float) -> None:
        from resift.backends.onnx import OnnxBackend

        def forward(_: OnnxBackend, batch: Any) -> Any:
            return np.full((len(batch.input_ids), 1), wrong, dtype=np.float32)

        monkeypatch.setattr(OnnxBackend, "forward", forward)
        with pytest.raises(NonFiniteScoreError, match=r"\[0, 1\]") as caught:
            self.rank(QUERY, TEXTS[:2])
        assert caught.value.indices == (0, 1)

    def test_documents_beyond_max_documents_follow_without_a_score(self) -> None:
        kept = self.rank(QUERY, TEXTS, max_documents=3, top_n=None, prior=0)
        expected = shared.rank(QUERY, TEXTS[:3])
        assert [(r.index, r.score) for r in kept] == [
            *((r.index, r.score) for r in expected),
            *((index, None) for index in range(3, len(TEXTS))),
        ]
        assert len(self.rank(QUERY, TEXTS, max_documents=3, top_n=4)) == 4
        assert len(self.rank(QUERY, TEXTS, max_documents=3, score_threshold=0.0, top_n=None)) == 3

    def test_what_is_not_scored_in_time_follows_in_the_order_given(self) -> None:
        events: list[TimingEvent] = []
        subject = self.build(deadline_ms=0.001, top_n=None, prior=0, on_timing=events.append)
        texts = [f"{text} {n}" for n in range(20) for text in TEXTS]
        documents = self.to_native(texts)
        self.run(subject, QUERY, documents)
        # Loaded by now, or still on its way: then nothing is scored.
        kept = self.read(self.run(subject, QUERY, documents), documents)
        scored = [result.index for result in kept if result.score is not None]
        assert sorted(scored) == list(range(len(scored)))
        assert [r.index for r in kept if r.score is None] == list(range(len(scored), len(texts)))
        assert (events[1].status, events[1].scored) == ("partial", len(scored))
        assert len(self.rank(QUERY, TEXTS, deadline_ms=60_000, top_n=None)) == len(TEXTS)

    def test_an_error_may_leave_the_order_given(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from resift.backends.onnx import OnnxBackend

        def forward(*_: Any) -> Any:
            raise RuntimeError("out of memory")

        events: list[TimingEvent] = []
        subject = self.build(on_error="first_stage", on_timing=events.append, top_n=None)
        raising = self.build(top_n=None)
        documents = self.to_native(TEXTS)
        for each in (subject, raising):
            self.run(each, QUERY, documents)
        monkeypatch.setattr(OnnxBackend, "forward", forward)
        for output in (
            self.run(subject, QUERY, documents),
            asyncio.run(self.arun(subject, QUERY, documents)),
        ):
            kept = self.read(output, documents)
            assert [(r.index, r.score) for r in kept] == [(n, None) for n in range(len(TEXTS))]
        assert events[-1].status == "fallback"
        assert "out of memory" in str(events[-1].error)
        with pytest.raises(Exception, match="out of memory"):
            self.run(raising, QUERY, documents)
        with pytest.raises(InvalidRequestError, match="query"):
            self.run(subject, " ", documents)

    def test_order_of_documents_changes_nothing_without_a_prior(self) -> None:
        subject = self.build(top_n=None, prior=0)

        @PROPERTY
        @given(texts=texts_strategy, data=st.data())
        def check(texts: list[str], data: st.DataObject) -> None:
            order = data.draw(st.permutations(range(len(texts))))
            documents = self.to_native(texts)
            shuffled = self.to_native([texts[i] for i in order])
            straight = self.read(self.run(subject, QUERY, documents), documents)
            moved = self.read(self.run(subject, QUERY, shuffled), shuffled)
            assert sorted(r.index for r in moved) == list(range(len(texts)))
            expected = {result.index: result.score for result in straight}
            for result in moved:
                assert result.score == pytest.approx(expected[order[result.index]], abs=1e-5)

        check()
