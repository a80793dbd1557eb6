"""Long queries and documents: cut, bounded, or read in windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models

from resift import InvalidRequestError, Reranker
from resift.text.batch import Batch


def test_truncation_takes_the_documents_tail(tiny: Path, forwarded: list[Batch]) -> None:
    document = " ".join(["w1"] * 10 + ["good"] * 5)
    ranking = Reranker(tiny, max_length=3 + 2 + 10).rank("a b", [document, "w1", document])
    assert {r.index: r.truncated_tokens for r in ranking} == {0: 5, 1: 0, 2: 5}
    assert ranking.counts.truncated_documents == 2
    assert not ranking.query_truncated
    assert max(batch.input_ids.shape[1] for batch in forwarded) == 15
    long = forwarded[0].input_ids[0].tolist()
    ids = tiny_models.IDS
    cls, sep = ids["[CLS]"], ids["[SEP]"]
    assert long == [cls, ids["a"], ids["b"], sep, *[ids["w1"]] * 10, sep]
    assert forwarded[0].token_type_ids[0].tolist() == [0] * 4 + [1] * 11


@pytest.mark.parametrize(
    ("words", "kept", "truncated"), [(8, 8, False), (9, 8, True), (100, 8, True)]
)
def test_a_query_keeps_half_the_window(
    tiny: Path, forwarded: list[Batch], words: int, kept: int, truncated: bool
) -> None:
    ranking = Reranker(tiny, max_length=16).rank("a " * words, ["good " * 100])
    assert ranking.query_truncated is truncated
    assert (forwarded[0].token_type_ids == 0).sum() == kept + 2
    assert ranking[0].truncated_tokens == 100 - (16 - 3 - kept)


@pytest.mark.parametrize("long_documents", ["truncate", "windows"])
def test_max_document_tokens_bounds_a_document_alone(tiny: Path, long_documents: Any) -> None:
    options: dict[str, Any] = {"max_length": 5, "long_documents": long_documents}
    reranker = Reranker(tiny, **options)
    document = "w1 w2 good"
    for most in (1, 2, 3, 4):
        (cut,) = reranker.rank("a", [document], max_document_tokens=most)
        kept = " ".join(document.split()[:most])
        (same,) = reranker.rank("a", [kept])
        assert cut.logit == same.logit
        assert cut.truncated_tokens == same.truncated_tokens + max(0, 3 - most)


def test_max_length_out_of_bounds_is_refused(tiny: Path) -> None:
    reranker = Reranker(tiny)
    assert reranker.rank("a b", ["good good"], max_length=5)[0].truncated_tokens == 1
    for max_length in (4, 33):
        with pytest.raises(InvalidRequestError, match=f"max_length={max_length}"):
            reranker.rank("a", ["good"], max_length=max_length)


def test_windows_take_the_best_part(tiny: Path, forwarded: list[Batch]) -> None:
    document = " ".join(["bad"] * 40 + ["good"] * 4 + ["bad"] * 3)
    reranker = Reranker(tiny, max_length=12, long_documents="windows")
    ranking = reranker.rank("a", [document, "b"])
    best = max(
        np.mean([*[tiny_models.WEIGHTS[w] for w in document.split()[i : i + 8]], 0.0])
        for i in range(40)
    )
    lowest = ranking[-1].logit
    assert lowest is not None
    assert -2 * 8 / 9 < lowest <= best
    assert [result.truncated_tokens for result in ranking] == [0, 0]
    assert ranking.counts.pairs == sum(len(batch.input_ids) for batch in forwarded) > 5


def test_a_tokenizers_own_truncation_and_padding_are_off(tiny: Path) -> None:
    ranking = Reranker(tiny).rank("a a a a a a", ["good " * 20])
    assert ranking.counts.tokens == ranking.counts.padded_tokens == 6 + 20 + 3
