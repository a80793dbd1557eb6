"""Properties of every scorer, as a pytest suite to inherit."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from resift import Observer, Reranker
from resift.call import Call
from resift.options import RankOptions
from resift.request import Request
from resift.scoring.scorer import Scored, Scorer
from resift.testing.texts import QUERY, TEXTS

Requests = Sequence[tuple[str, Sequence[str]]]


class ScorerContract:
    """Rows for one scorer. Subclasses say how to make it, and what else differs."""

    query: str = QUERY
    """A query that it scores texts for."""
    texts: Sequence[str] = TEXTS
    """Different texts, at least four, to which it gives different logits."""
    tolerance: float = 1e-5
    """The most that the other texts of a call may move a logit."""
    in_progress: bool = True
    """Whether it reports progress, and can be cancelled."""

    def build(self) -> Scorer:
        """Return a new scorer, not yet used."""
        raise NotImplementedError

    def ask(self, scorer: Scorer, requests: Requests, **options: Any) -> list[Scored]:
        """Have it answer pairs of a query and its documents."""
        checked = [Request.of(query, documents) for query, documents in requests]
        return scorer.score(checked, Call.of(RankOptions(**options)))

    def logits(self, scorer: Scorer, texts: Sequence[str]) -> list[float]:
        """The logits of different texts."""
        (answer,) = self.ask(scorer, [(self.query, texts)])
        return [float(each) for each in answer.logits]

    def test_an_answer_has_a_place_for_each_text(self) -> None:
        given = [(self.query, self.texts), (self.query, []), (self.query, self.texts[:2])]
        answers = self.ask(self.build(), given)
        assert [len(each.logits) for each in answers] == [len(texts) for _, texts in given]
        for answer, (_, texts) in zip(answers, given, strict=True):
            for name, kind in (
                ("logits", "f"), ("scored", "b"), ("pairs", "i"), ("truncated_tokens", "i"),
            ):  # fmt: skip
                values = getattr(answer, name)
                assert (values.shape, values.dtype.kind) == ((len(texts),), kind), name
            assert answer.late is None or answer.late.shape == (len(texts),)

    def test_what_is_not_scored_has_no_logit(self) -> None:
        (answer,) = self.ask(self.build(), [(self.query, self.texts)])
        assert np.isnan(answer.logits[~answer.scored]).all()
        assert np.isfinite(answer.logits[answer.scored]).all()
        assert not answer.pairs[~answer.scored].any()
        assert answer.scored.any()
        if answer.late is not None:
            assert not (answer.late & answer.scored).any()

    def test_requests_are_answered_each_by_itself(self) -> None:
        scorer = self.build()
        given = [(self.query, self.texts), (self.query, self.texts[1::-1]), (self.query, [])]
        together = self.ask(scorer, given)
        for each, answer in zip(given, together, strict=True):
            (alone,) = self.ask(scorer, [each]) if each[1] else together[2:]
            assert answer.logits == pytest.approx(alone.logits, abs=self.tolerance, nan_ok=True)

    def test_asking_again_changes_nothing(self) -> None:
        scorer = self.build()
        first = self.logits(scorer, self.texts)
        assert self.logits(scorer, self.texts) == pytest.approx(
            first, abs=self.tolerance, nan_ok=True
        )

    def test_the_best_by_logit_is_ranked_first(self) -> None:
        scorer = self.build()
        logits = self.logits(scorer, self.texts)
        expected = [i for i, logit in enumerate(logits) if not np.isnan(logit)]
        expected.sort(key=lambda i: -logits[i])
        ranking = Reranker(scorer=scorer).rank(self.query, self.texts)
        assert [each.index for each in ranking] == expected
        assert ranking.counts.scored + ranking.counts.pruned_documents == len(self.texts)

    def test_a_ranking_says_what_ran(self) -> None:
        scorer = self.build()
        before = scorer.source
        ranking = Reranker(scorer=scorer).rank(self.query, self.texts)
        assert before.model
        assert before.backend
        assert ranking.model
        assert ranking.backend
        assert ranking.status in ("complete", "fallback")
        assert ranking.stages
        assert all(each.seconds >= 0 for each in ranking.stages)
        assert ranking.stages[-1].model == ranking.model
        assert ranking.stages[-1].pairs == ranking.counts.pairs
        assert ranking.stages[-1].tokens == ranking.counts.tokens

    def test_without_documents_it_only_names_itself(self) -> None:
        ranking = Reranker(scorer=self.build()).rank(self.query, [])
        assert (len(ranking), ranking.counts.pairs) == (0, 0)
        assert ranking.model

    def test_equal_documents_are_scored_once(self) -> None:
        reranker = Reranker(scorer=self.build())
        once = reranker.rank(self.query, self.texts[:3])
        thrice = reranker.rank(self.query, [*self.texts[:3]] * 3)
        assert thrice.counts.pairs <= once.counts.pairs
        assert thrice.counts.documents == 9

    def test_it_is_warmed_up_as_often_as_asked(self) -> None:
        scorer = self.build()
        for _ in range(2):
            scorer.warm_up(Call.of(RankOptions()))
        assert self.logits(scorer, self.texts)

    def test_threads_share_one_instance(self) -> None:
        scorer = self.build()
        lists = [self.texts[n % 3 :] for n in range(12)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda texts: self.logits(scorer, texts), lists))
        expected = [self.logits(scorer, texts) for texts in lists]
        for one, other in zip(found, expected, strict=True):
            assert one == pytest.approx(other, abs=self.tolerance, nan_ok=True)

    def test_a_pickle_gives_the_same_logits(self) -> None:
        scorer = self.build()
        again = pickle.loads(pickle.dumps(scorer))
        assert self.logits(again, self.texts) == pytest.approx(
            self.logits(scorer, self.texts), abs=self.tolerance, nan_ok=True
        )

    def test_it_shows_how_it_was_made(self) -> None:
        scorer = self.build()
        assert repr(scorer).startswith(f"{type(scorer).__name__}(")
        assert " at 0x" not in repr(scorer)
        assert repr(pickle.loads(pickle.dumps(scorer))) == repr(scorer)

    def test_a_cancelled_call_stops(self) -> None:
        if not self.in_progress:
            pytest.skip("it is asked to leave cancelling out")
        scorer = self.build()
        cancelled = threading.Event()
        cancelled.set()
        call = Call.of(RankOptions(), cancelled=cancelled)
        with pytest.raises(asyncio.CancelledError):
            scorer.score([Request.of(self.query, self.texts)], call)
        assert self.logits(scorer, self.texts)

    def test_progress_rises_to_all_pairs(self) -> None:
        if not self.in_progress:
            pytest.skip("it is asked to leave progress out")
        seen: list[tuple[int, int]] = []

        class Watcher(Observer):
            def progress(self, done: int, total: int) -> None:
                seen.append((done, total))

        Reranker(scorer=self.build()).rank(self.query, self.texts, observer=Watcher())
        assert seen
        assert seen[0][0] == 0
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        assert seen[-1][0] == seen[-1][1] > 0
