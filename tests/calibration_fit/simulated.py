"""Pairs whose chance of relevance is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resift.evaluation.calibration_fit import Labelled

Floats = NDArray[np.float64]
SLOPE, INTERCEPT = 0.6, -1.0


def chance(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))


def simulated(
    queries: int, documents: int = 10, *, seed: int = 0, slope: float = SLOPE,
    intercept: float = INTERCEPT, hard: float = 0.0,
) -> Labelled:  # fmt: skip
    """Pairs whose chance of relevance is known; ``hard`` moves all logits of a query."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (queries, documents)) + hard * rng.normal(0, 1, (queries, 1))
    labels = rng.random(logits.shape) < chance(slope * logits + intercept)
    query = np.repeat(np.arange(queries), documents)
    return Labelled.of(
        logits.ravel().tolist(), labels.ravel().astype(float).tolist(), query.tolist()
    )
