"""Priors beside early exit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from priors.inputs import finite

from resift.scoring.cuts import survivors


@settings(deadline=None)
@given(
    data=st.data(),
    estimates=st.lists(finite, min_size=1, max_size=12),
    top_n=st.integers(1, 6),
    margin=st.floats(0.01, 1),
    weight=st.floats(0, 2),
)
def test_pruning_within_the_margin_loses_nothing(
    data: st.DataObject, estimates: list[float], top_n: int, margin: float, weight: float
) -> None:
    size = len(estimates)
    slots = [*range(size), *data.draw(st.lists(st.sampled_from(range(size)), max_size=6))]
    evidence = -weight * np.log1p(np.arange(len(slots)))
    # The model differs from its estimator by half the margin at most.
    off = data.draw(st.lists(st.floats(-0.49, 0.49), min_size=size, max_size=size))
    logits = np.array(estimates) + margin * np.array(off)
    kept = survivors(np.array(estimates, np.float32), slots, top_n, margin, evidence)
    best = np.argsort(-(logits[slots] + evidence), kind="stable")[:top_n]
    assert all(kept[slots[document]] for document in best)


def test_what_is_first_by_its_place_is_not_pruned() -> None:
    estimates = np.array([0.0, 1.0, 1.5, 2.0], np.float32)
    slots = [0, 1, 2, 3]
    assert survivors(estimates, slots, 1, 0.1).tolist() == [False, False, False, True]
    evidence = np.array([5.0, 0.0, 0.0, 0.0])
    assert survivors(estimates, slots, 1, 0.1, evidence).tolist() == [True, False, False, False]
