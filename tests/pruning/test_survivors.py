"""Documents that ``prune="auto"`` keeps, by their estimates."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from resift.scoring.cuts import survivors

numbers = st.one_of(
    st.floats(-9, 9, width=32), st.sampled_from([math.nan, math.inf, -math.inf, 0.0])
)


@settings(deadline=None)
@given(
    estimates=st.lists(numbers, min_size=1, max_size=12),
    data=st.data(),
    top_n=st.integers(1, 14),
    margin=st.one_of(st.floats(0, 5), st.just(math.inf)),
)
def test_documents_within_the_margin_survive(
    estimates: list[float], data: st.DataObject, top_n: int, margin: float
) -> None:
    texts = range(len(estimates))
    more = data.draw(st.lists(st.sampled_from(texts), max_size=6))
    slots = [*texts, *more]
    kept = survivors(np.array(estimates, np.float32), slots, top_n, margin)
    finite = sorted((estimates[s] for s in slots if math.isfinite(estimates[s])), reverse=True)
    for text in texts:
        if len(finite) < top_n or not math.isfinite(estimates[text]):
            assert kept[text]
        else:
            assert kept[text] == (estimates[text] >= finite[top_n - 1] - margin)


def test_a_nan_estimate_prunes_no_other_document() -> None:
    estimates = np.array([math.nan, math.inf, 1.0, 0.5, -3.0], np.float32)
    assert survivors(estimates, range(5), 2, 1.0).tolist() == [True, True, True, True, False]


def test_duplicates_count_as_often_as_they_come() -> None:
    estimates = np.array([3.0, 2.0, 0.0], np.float32)
    assert survivors(estimates, [0, 1, 2], 2, 0.5).tolist() == [True, True, False]
    assert survivors(estimates, [0, 0, 1, 2], 2, 0.5).tolist() == [True, False, False]
