"""Hits of the cache of scores, which change no score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numbers_scorer import Numbers
from score_cache.caching import TEXTS, Place, facts, pairs, stores

from resift import Observer, Reranker
from resift.scoring import Cached, Local
from resift.text.batch import Batch


@stores
def test_a_text_is_scored_once(
    place: Place, tiny: Path, tmp_path: Path, forwarded: list[Batch]
) -> None:
    reranker = Reranker(scorer=Cached(Local(tiny, backend="onnx"), **place(tmp_path)))
    first = reranker.rank("a", TEXTS)
    assert (first.counts.pairs, first.counts.cached) == (5, 0)
    forwarded.clear()
    again = reranker.rank("a", TEXTS)
    assert pairs(forwarded) == 0
    assert facts(again) == facts(first)
    counts = again.counts
    assert (counts.pairs, counts.tokens, counts.padded_tokens, counts.cached) == (0, 0, 0, 5)
    assert (counts.scored, again.status, again.precision) == (5, "complete", first.precision)
    more = reranker.rank("a", ["w5", *TEXTS, "w5", "w6"])
    assert pairs(forwarded) == 2
    assert (more.counts.pairs, more.counts.cached, more.counts.documents) == (2, 5, 8)
    assert [(each.model, each.texts, each.pairs) for each in more.stages] == [(str(tiny), 2, 2)]
    assert [(each.texts, each.pairs) for each in again.stages] == [(0, 0)]


words = st.lists(st.sampled_from(["a", "b", "good", "w1", "w7"]), max_size=12).map(" ".join)
calls = st.lists(
    st.tuples(
        st.sampled_from(["a", "b a", "a b good w1 w2 w3 w4 w5 w6"]),
        st.lists(words, max_size=6),
        st.sampled_from([{}, {"max_length": 8}, {"max_length": 8, "long_documents": "windows"}]),
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None, max_examples=60)
@given(calls=calls, max_bytes=st.sampled_from([1, 1000, 10**6]), on_disk=st.booleans())
def test_it_changes_no_score(
    tmp_path_factory: pytest.TempPathFactory,
    tiny: Path,
    calls: list[tuple[str, list[str], dict[str, Any]]],
    max_bytes: int,
    on_disk: bool,
) -> None:
    # A pair in each pass: company would move the last digit.
    local = _locals.setdefault(tiny, Local(tiny, backend="onnx", max_batch_tokens=1))
    folder = tmp_path_factory.mktemp("cache") if on_disk else None
    cached = Reranker(scorer=Cached(local, max_bytes=max_bytes, folder=folder))
    for query, texts, options in calls:
        for _ in range(2):
            expected = Reranker(scorer=local).rank(query, texts, **options)
            found = cached.rank(query, texts, **options)
            assert facts(found) == facts(expected)
            assert found.counts.pairs <= expected.counts.pairs
            assert (found.counts.cached == 0) == (found.counts.pairs == expected.counts.pairs)


_locals: dict[Path, Local] = {}


def test_what_was_found_is_done_in_the_progress() -> None:
    seen: list[tuple[int, int]] = []

    class Watcher(Observer):
        def progress(self, done: int, total: int) -> None:
            seen.append((done, total))

    reranker = Reranker(scorer=Cached(Numbers(digest="d")))
    reranker.rank("q", ["1", "2"])
    reranker.rank("q", ["1", "2", "3"], observer=Watcher())
    assert seen == [(2, 3), (3, 3)]
    seen.clear()
    reranker.rank("q", ["1", "2"], observer=Watcher())
    assert seen == [(2, 2)]
