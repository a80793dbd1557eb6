"""Scores of a server that depend on the batch, the place or the time."""

from __future__ import annotations

import numpy as np
from compare_server.planted import Planted, Values, compared, differing, served

from resift import Reranker


def test_scores_that_depend_on_the_batch_are_told(small: Reranker) -> None:
    def padded(logits: Values) -> Values:
        return np.asarray(logits - 0.02 * len(logits))

    with served("tei", Planted(small, raw=padded)) as server:
        report = compared(server, small)
    assert differing(report) == {"neighbours"}, report.to_text()


def test_scores_that_depend_on_the_place_are_told(small: Reranker) -> None:
    def drifting(logits: Values) -> Values:
        return np.asarray(logits + 0.02 * np.arange(len(logits)))

    with served("tei", Planted(small, raw=drifting)) as server:
        report = compared(server, small)
    assert differing(report) == {"neighbours"}, report.to_text()


def test_scores_that_change_are_told(small: Reranker) -> None:
    calls = iter(range(100))

    def unsteady(logits: Values) -> Values:
        return np.asarray(logits + 0.2 * (next(calls) % 2))

    with served("tei", Planted(small, raw=unsteady)) as server:
        report = compared(server, small)
    assert differing(report) == {"repeated"}, report.to_text()
