"""Logistic regression with few features, by Newton's method."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resift.errors import InvalidRequestError

Floats = NDArray[np.float64]

# In units of groups.
_RIDGE = 0.1


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


def bounds(labels: Floats) -> tuple[float, float]:
    """Values of 0 and 1 among these labels (``float64 [n]``), as Platt (1999) smooths them."""
    positives = max(0.0, float(labels.sum()))
    negatives = max(0.0, len(labels) - positives)
    return 1 / (negatives + 2), (positives + 1) / (positives + 2)


def smoothed(labels: Floats) -> Floats:
    """Labels with 0 and 1 moved to their ``bounds``, and all others in proportion."""
    low, high = bounds(labels)
    return labels * high + (1 - labels) * low


def fit_logistic(
    features: Floats, labels: Floats, *, intercept: bool = True
) -> tuple[Floats, float]:
    """Fit ``P(label = 1) = sigmoid(features @ slopes + intercept)``.

    ``features`` are ``float64 [n, k]`` and finite, ``labels`` ``float64 [n]``: 0 and 1, or what has
    their expectation. Returns the slopes, ``float64 [k]``, and the intercept, which is 0 without
    one. Labels are smoothed as in Platt, "Probabilistic Outputs for Support Vector Machines"
    (1999), so that separable data has a finite fit.
    """
    target = smoothed(labels)
    # Standardised, the Hessian is well-conditioned whatever the scale of the features.
    centre, spread = features.mean(axis=0), features.std(axis=0)
    if not intercept:
        centre, spread = np.zeros_like(centre), np.sqrt((features**2).mean(axis=0))
    scale = np.where(spread > 0, spread, 1.0)
    last = np.full(len(features), 1.0 if intercept else 0.0)
    inputs = np.column_stack([(features - centre) / scale, last])
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


def fit_within(features: Floats, labels: Floats, groups: NDArray[np.intp]) -> Floats:
    """Fit what tells a group's rows of label 1 from its rows of label 0.

    ``features`` are ``float64 [n, k]`` and finite, ``labels`` ``float64 [n]``, of 0 and 1, and
    ``groups`` ``int [n]``. Returns the slopes, ``float64 [k]``. What all rows of a group share,
    such as how hard a query is, has no part in them: each row of label 1 is a choice among itself
    and its group's rows of label 0, as in D. McFadden, "Conditional logit analysis of qualitative
    choice behavior" (1974). Groups count alike; one with labels of one kind says nothing. A slight
    ridge keeps the fit of separable data finite.
    """
    _, groups = np.unique(groups, return_inverse=True)
    size = int(groups.max()) + 1
    means = _sums(features, groups, size) / np.bincount(groups, minlength=size)[:, None]
    inputs = features - means[groups]
    spread = inputs.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    inputs /= scale
    ones, of = inputs[labels == 1], groups[labels == 1]
    zeros, beside = inputs[labels == 0], groups[labels == 0]
    useful = (np.bincount(beside, minlength=size) > 0)[of]
    ones, of = ones[useful], of[useful]
    share = 1 / np.bincount(of, minlength=size)[of]
    products = zeros[:, :, None] * zeros[:, None, :]
    slopes = np.zeros(inputs.shape[1])
    for _ in range(100):
        top = np.full(size, -np.inf)
        np.maximum.at(top, groups, inputs @ slopes)
        odds, own = np.exp(zeros @ slopes - top[beside]), np.exp(ones @ slopes - top[of])
        whole = own + _sums(odds, beside, size)[of]
        mean = (own[:, None] * ones + _sums(odds[:, None] * zeros, beside, size)[of]) / whole[
            :, None
        ]
        square = own[:, None, None] * ones[:, :, None] * ones[:, None, :]
        square += _sums(odds[:, None, None] * products, beside, size)[of]
        square = square / whole[:, None, None] - mean[:, :, None] * mean[:, None, :]
        gradient = share @ (mean - ones) + _RIDGE * slopes
        hessian = np.tensordot(share, square, 1) + _RIDGE * np.eye(len(slopes))
        step = np.linalg.solve(hessian, gradient)
        slopes -= step * min(1.0, 1.0 / (float(np.abs(step).max()) + 1e-12))
        if np.abs(step).max() < 1e-10:
            break
    return np.asarray(slopes / scale)


def _sums(rows: Floats, groups: NDArray[np.intp], size: int) -> Floats:
    """The rows of each group added up: ``float64 [size, ...]``."""
    found = np.zeros((size, *rows.shape[1:]))
    np.add.at(found, groups, rows)
    return found
