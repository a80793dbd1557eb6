"""Logistic regression with few features, by Newton's method."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resift.errors import InvalidRequestError

Floats = NDArray[np.float64]


def sigmoid(logits: Floats) -> Floats:
    """``1 / (1 + exp(-x))`` without overflow."""
    return np.exp(-np.logaddexp(0.0, -logits))


def check_labels(labels: Floats) -> None:
    """Pass labels of 0 and 1 (``float64 [n]``), both of them present.

    Raises ``InvalidRequestError``.
    """
    positives, negatives = int((labels == 1).sum()), int((labels == 0).sum())
    if not positives or not negatives or positives + negatives != len(labels):
        raise InvalidRequestError(
            f"expected labels of 0 and 1, both present; got {positives} ones, "
            f"{negatives} zeros among {len(labels)}"
        )


def fit_logistic(features: Floats, labels: Floats) -> tuple[Floats, float]:
    """Fit ``P(label = 1) = sigmoid(features @ slopes + intercept)``.

    ``features`` are ``float64 [n, k]`` and finite, ``labels`` ``float64 [n]``, of 0 and 1. Returns
    the slopes, ``float64 [k]``, and the intercept. Labels are smoothed as in Platt, "Probabilistic
    Outputs for Support Vector Machines" (1999), so that separable data has a finite fit.
    """
    positives, negatives = int((labels == 1).sum()), int((labels == 0).sum())
    target = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    # Standardised, the Hessian is well-conditioned whatever the scale of the features.
    centre, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    inputs = np.column_stack([(features - centre) / scale, np.ones(len(features))])
    weights = np.zeros(inputs.shape[1])
    for _ in range(100):
        p = sigmoid(inputs @ weights)
        hessian = (inputs * (p * (1 - p))[:, None]).T @ inputs + 1e-9 * np.eye(len(weights))
        step = np.linalg.solve(hessian, inputs.T @ (p - target))
        # Newton's step may overshoot where the sigmoid is flat.
        weights -= step * min(1.0, 4.0 / (float(np.abs(step).max()) + 1e-12))
        if np.abs(step).max() < 1e-10:
            break
    slopes = weights[:-1] / scale
    return slopes, float(weights[-1] - slopes @ centre)
