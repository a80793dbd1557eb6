"""Batches and requests together, which change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import logit

from resift import Reranker

words = st.lists(st.sampled_from(["a", "b", "good", "bad", "w3", "w7"]), max_size=20)
documents_strategy = st.lists(words.map(" ".join), min_size=1, max_size=20)


@settings(max_examples=30, deadline=None)
@given(documents=documents_strategy, budget=st.integers(1, 200))
def test_batches_change_nothing(tiny: Path, documents: list[str], budget: int) -> None:
    scores = _reranker(tiny, budget).score("a b", documents, normalization="none")
    assert scores == pytest.approx([logit(document) for document in documents], abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(requests=st.lists(documents_strategy, max_size=4), budget=st.integers(1, 200))
def test_rank_many_equals_rank_of_each(tiny: Path, requests: list[list[str]], budget: int) -> None:
    reranker = _reranker(tiny, budget)
    pairs = [(f"w{n}", [*documents, "a"]) for n, documents in enumerate(requests)]
    together = reranker.rank_many(pairs, top_n=3)
    apart = [reranker.rank(query, documents, top_n=3) for query, documents in pairs]
    assert [r.results for r in together] == [r.results for r in apart]
    assert [r.counts.tokens for r in together] == [r.counts.tokens for r in apart]


def _reranker(model: Path, budget: int, cache: dict[int, Reranker] = {}) -> Reranker:  # noqa: B006
    return cache.setdefault(budget, Reranker(model, max_batch_tokens=budget, threads=1))


def test_rank_many_takes_queries_without_documents(tiny: Path) -> None:
    rankings = Reranker(tiny).rank_many([("a", []), ("b", ["good", "bad"]), ("w1", [])])
    assert [len(ranking) for ranking in rankings] == [0, 2, 0]
    assert rankings[1].counts.documents == 2
    assert Reranker(tiny).rank_many([]) == []
