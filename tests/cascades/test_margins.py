"""Margins in place of numbers, what they load, and what is neither."""

from __future__ import annotations

import math
from typing import Any

import pytest
from cascades.ranked import TEXTS, rank
from numbers_scorer import Numbers
from rankings import order

from resift import InvalidRequestError, Reranker
from resift.scoring import Cascade, Margin


def test_a_margin_prunes_where_the_call_asks() -> None:
    first, then = Numbers("first"), Numbers("then", scale=-1.0)
    cascade = Cascade([first, then], keep=[Margin(2.0)])
    texts = ["9", "1", "8", "4", "7", "3", "2", "9"]
    reranker = Reranker(scorer=cascade, normalization="none", prune="auto")
    ranking = reranker.rank("q", texts, top_n=2)
    # The second best is 9 too: 9, 8 and 7 are within 2 of it.
    assert then.asked == [("9", "8", "7")]
    assert [(each.index, each.logit) for each in ranking] == [(4, -7.0), (2, -8.0)]
    assert (ranking.model, ranking.counts.pruned_documents) == ("then", 4)
    assert order(reranker.rank("q", texts, top_n=2, prune="off")) == [1, 6]
    assert order(reranker.rank("q", texts)) == [1, 6, 5, 3, 4, 2, 0, 7]


def test_numbers_and_margins_mix() -> None:
    scorers = [Numbers("first"), Numbers("second"), Numbers("third")]
    cascade = Cascade(scorers, keep=[6, Margin(1.0)])
    ranking = rank(cascade, TEXTS, top_n=1, prune="auto")
    assert scorers[2].asked == [("9",)]
    assert (order(ranking), ranking.counts.pruned_documents) == ([0], 6)
    assert rank(cascade, TEXTS).counts.pruned_documents == 1
    assert len(scorers[1].asked) == 1


def test_warming_up_loads_what_a_call_needs() -> None:
    cut, pruning, last = Numbers(), Numbers(), Numbers()
    cascade = Cascade([cut, pruning, last], keep=[3, Margin(1.0)])
    Reranker(scorer=cascade).warm_up()
    assert [each.warm for each in (cut, pruning, last)] == [1, 0, 1]
    Reranker(scorer=cascade, prune="auto").warm_up()
    assert [each.warm for each in (cut, pruning, last)] == [2, 1, 2]


@pytest.mark.parametrize(
    ("scorers", "keep", "message"),
    [
        ([Numbers()], [], "at least two scorers"),
        ([Numbers(), Numbers()], [], "an entry of keep"),
        ([Numbers(), Numbers()], [3, 2], "an entry of keep"),
        ([Numbers(), Numbers()], 30, "keep must be a list"),
        ([Numbers(), Numbers()], [0], r"keep\[0\]"),
        ([Numbers(), Numbers()], [True], r"keep\[0\]"),
        ([Numbers(), Numbers()], [None], r"keep\[0\]"),
        ([Numbers(), Numbers()], [2.5], r"keep\[0\]"),
        ([Numbers(), "resift-small"], [3], r"scorers\[1\]"),
        ([Numbers(), Numbers], [3], r"scorers\[1\]"),
        (Numbers(), [3], "scorers must be a list"),
    ],
)
def test_what_is_no_cascade_is_refused(scorers: Any, keep: Any, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        Cascade(scorers, keep=keep)


@pytest.mark.parametrize("margin", [-0.1, math.nan, "1", None, True])
def test_what_is_no_margin_is_refused(margin: Any) -> None:
    with pytest.raises(InvalidRequestError, match="margin"):
        Margin(margin)
