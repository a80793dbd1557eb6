"""Rankings with ``prune="auto"``: what it may change, and what it may not."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st
from pruning.estimated import MARGIN, PRUNED, TEXTS, WORDS, build
from rankings import facts

from resift import Reranker
from resift.loading.finding import find_files
from resift.models.store.upkeep import bundle
from resift.options import LoadOptions


def estimate(text: str) -> float:
    """The estimator's logit: words count in whole numbers, so that many are equal."""
    words = text.split()
    return float(sum(np.round(tiny_models.WEIGHTS[word]) for word in words) / (len(words) + 1))


texts_strategy = st.lists(
    st.lists(st.sampled_from([*WORDS, "a", "b", "good", "bad"]), max_size=6).map(" ".join),
    min_size=1,
    max_size=20,
)


@settings(deadline=None, max_examples=60)
@given(texts=texts_strategy, top_n=st.integers(1, 8))
def test_survivors_are_ranked_as_without_pruning(
    reranker: Reranker, texts: list[str], top_n: int
) -> None:
    before = list(texts)
    everything = reranker.rank("a", texts)
    ranking = reranker.rank("a", texts, top_n=top_n, prune="auto")
    bar = sorted((estimate(text) for text in texts), reverse=True)[min(top_n, len(texts)) - 1]
    stays = [len(texts) < 3 * top_n or estimate(text) >= bar - MARGIN for text in texts]
    assert facts(ranking) == [each for each in facts(everything) if stays[each[0]]][:top_n]
    assert ranking.counts.pruned_documents == stays.count(False)
    assert ranking.counts.documents == len(texts)
    kept_texts = {text for text, stay in zip(texts, stays, strict=True) if stay}
    assert ranking.counts.pairs == len(kept_texts)
    assert texts == before


@settings(deadline=None, max_examples=20)
@given(texts=texts_strategy, top_n=st.integers(1, 8))
def test_a_margin_that_keeps_all_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], top_n: int
) -> None:
    wide = _wide(tmp_path_factory)
    ranking = wide.rank("a", texts, top_n=top_n)
    assert facts(ranking) == facts(Reranker.rank(wide, "a", texts))[:top_n]
    assert ranking.counts.pruned_documents == 0


_made: list[Reranker] = []


def _wide(factory: pytest.TempPathFactory) -> Reranker:
    if not _made:
        folder = build(factory.mktemp("wide"), margin=1e9)
        _made.append(Reranker(folder, backend="onnx", prune="auto", max_batch_tokens=1))
    return _made[0]


def test_a_threshold_is_applied_after_pruning(reranker: Reranker) -> None:
    options: dict[str, Any] = {"top_n": 3, "score_threshold": 0.5}
    expected = reranker.rank("a", TEXTS, **options)
    ranking = reranker.rank("a", TEXTS, **options, prune="auto")
    assert facts(ranking) == facts(expected)
    assert len(ranking) == 2


def test_windows_are_estimated_by_their_best(model: Path) -> None:
    late = "bad " * 30 + "good " * 8
    options: dict[str, Any] = {"max_length": 12, "top_n": 1, "prune": "auto"}
    reranker = Reranker(model, backend="onnx")
    cut = reranker.rank("a", ["w9", late, "bad"], **options)
    assert [each.index for each in cut] == [0]
    whole = reranker.rank("a", ["w9", late, "bad"], **options, long_documents="windows")
    assert [each.index for each in whole] == [1]
    assert whole.counts.pruned_documents == 2
    assert whole.counts.pairs > 1


def test_an_estimate_that_is_not_finite_prunes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = build(tmp_path / "model", weights={"w9": math.nan, "w1": math.inf})
    reranker = Reranker(folder, backend="onnx", normalization="none", prune="auto")
    ranking = reranker.rank("a", TEXTS, top_n=2)
    # Nor is it computed again.
    assert not caplog.messages
    assert [each.index for each in ranking] == [9, 8]
    # w6 to w8 by their estimates, w9 and w1 without.
    assert ranking.counts.pruned_documents == 5


def test_several_queries_are_pruned_each_by_itself(reranker: Reranker) -> None:
    requests = [("a", TEXTS), ("b", TEXTS[:2]), ("a", []), ("b", TEXTS[::-1])]
    together = reranker.rank_many(requests, top_n=2, prune="auto")
    apart = [reranker.rank(*request, top_n=2, prune="auto") for request in requests]
    assert [facts(each) for each in together] == [facts(each) for each in apart]
    assert [each.counts.pruned_documents for each in together] == [PRUNED, 0, 0, PRUNED]


def test_truncation_is_reported_for_pruned_documents_too(reranker: Reranker) -> None:
    texts = [f"{word} " * 12 if n % 2 else word for n, word in enumerate(WORDS)]
    options: dict[str, Any] = {"top_n": 2, "max_length": 10}
    everything = reranker.rank("a", texts, **options, prune="off")
    ranking = reranker.rank("a", texts, **options, prune="auto")
    assert ranking.counts.pruned_documents > 0
    assert facts(ranking) == facts(everything)
    assert max(each.truncated_tokens for each in ranking) > 0
    assert ranking.counts.truncated_documents == everything.counts.truncated_documents == 5


def test_one_query_may_have_several_lists_of_documents(reranker: Reranker) -> None:
    requests = [("a", TEXTS), ("a", ["good", *TEXTS[:5]]), ("a", TEXTS[5:])]
    together = reranker.rank_many(requests, top_n=1, prune="auto")
    apart = [reranker.rank(*request, top_n=1, prune="auto") for request in requests]
    assert [facts(each) for each in together] == [facts(each) for each in apart]


def test_every_backend_prunes(graph_backend: str, model: Path) -> None:
    ranking = Reranker(model, backend=graph_backend).rank("a", TEXTS, top_n=2, prune="auto")
    assert [each.index for each in ranking] == [9, 8]
    assert ranking.counts.pruned_documents == PRUNED


def test_several_devices_prune(model: Path) -> None:
    reranker = Reranker(model, backend="onnx", devices=["cpu", "cpu"], prune="auto")
    ranking = reranker.rank("a", TEXTS, top_n=2)
    assert [each.index for each in ranking] == [9, 8]
    assert ranking.counts.pruned_documents == PRUNED


def test_a_bundle_prunes(model: Path, tmp_path: Path) -> None:
    files = find_files(LoadOptions(model=model), ["onnx"])
    bundle(replace(files, name="pruned"), tmp_path / "bundle")
    ranking = Reranker(tmp_path / "bundle").rank("a", TEXTS, top_n=2, prune="auto")
    assert ranking.counts.pruned_documents == PRUNED
