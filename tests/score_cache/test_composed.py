"""The cache of scores around cascades, fallbacks and itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numbers_scorer import Numbers
from score_cache.caching import facts

from resift import Reranker
from resift.scoring import Cached, Cascade, Fallback, Local, Margin


def test_estimates_and_logits_are_not_mixed(tiny: Path) -> None:
    small, large = Numbers("small", digest="small"), Numbers("large", scale=-1, digest="large")
    texts = ["9", "1", "5", "4", "7", "3"]
    plain = Reranker(scorer=Cascade([small, large], keep=[3]), normalization="none")
    cached = Reranker(scorer=Cached(Cascade([small, large], keep=[3])), normalization="none")
    expected = plain.rank("q", texts)
    small.asked, large.asked = [], []
    for cached_texts in (0, 3):
        ranking = cached.rank("q", texts)
        assert ranking.results == expected.results
        # The estimates' hits are no more counted than their pairs are.
        assert ranking.counts.cached == cached_texts
        assert ranking.counts.pruned_documents == 3
    assert small.asked == [tuple(texts)]
    assert large.asked == [("9", "5", "7")]


def test_pruning_goes_by_all_documents() -> None:
    texts = [str(n) for n in range(12)]
    small, large = Numbers("small", digest="small"), Numbers("large", digest="large")
    reranker = Reranker(scorer=Cached(Cascade([small, large], keep=[Margin(1.0)])), prune="auto")
    reranker.rank("q", texts[6:])
    ranking = reranker.rank("q", texts, top_n=2)
    # As without a cache: 11, 10 and 9 are within 1 of the second best.
    assert ranking.counts.pruned_documents == 9
    assert (ranking.counts.cached, ranking.counts.pairs) == (3, 0)


def test_early_exit_is_cached_model_by_model() -> None:
    texts = [f"{n} words on sorting a dictionary by value"[: 9 + n] for n in range(30)]
    options: dict[str, Any] = {"top_n": 3, "prune": "auto"}
    local = Local()
    expected = Reranker(scorer=local).rank("sort a dictionary", texts, **options)
    reranker = Reranker(scorer=Cached(local))
    first, again = (reranker.rank("sort a dictionary", texts, **options) for _ in range(2))
    for ranking in (first, again):
        assert [each.index for each in ranking] == [each.index for each in expected]
        assert ranking.counts.pruned_documents == expected.counts.pruned_documents
    assert facts(first) == facts(again)
    assert again.counts.pairs == 0
    assert again.counts.cached == first.counts.pairs > 0


def test_a_fallback_is_cached_scorer_by_scorer() -> None:
    first, second = Numbers("first", digest="first"), Numbers("second", digest="second")
    reranker = Reranker(scorer=Cached(Fallback(first, second)))
    reranker.rank("q", ["1", "2"])
    first.error = OSError("down")
    # What it said before stands, as before.
    ranking = reranker.rank("q", ["1", "2"])
    assert (ranking.model, ranking.status, ranking.counts.cached) == ("first", "complete", 2)
    ranking = reranker.rank("q", ["1", "2", "3"])
    assert (ranking.model, ranking.status, ranking.counts.cached) == ("second", "fallback", 0)


def test_a_cache_in_a_cache_is_one() -> None:
    inner = Cached(Numbers(digest="d"))
    reranker = Reranker(scorer=Cached(inner))
    reranker.rank("q", ["1"])
    assert Reranker(scorer=inner).rank("q", ["1"]).counts.cached == 1
