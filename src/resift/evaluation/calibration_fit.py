"""Curves from logits to chances of relevance: fitted, and tried on queries left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from resift.calibrations import Curve, CurveKind
from resift.errors import InvalidRequestError
from resift.evaluation.intervals import Difference, paired_ratio_bootstrap
from resift.logistic import Floats, bounds, fit_logistic, smoothed

ISOTONIC_FROM = 1_000
"""How many labels an isotonic fit needs: with fewer, its steps follow chance."""

FOLDS = 5
QUERIES_FROM = 10
"""How many queries a calibration needs, so that it can be tried on others."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pairs of a query and a document: arrays of ``[pairs]``."""

    logits: Floats
    labels: Floats
    """1 for relevant, 0 for not; of clicks, what has the expectation of that, and may exceed 1."""
    query: NDArray[np.intp]
    """Number of each pair's query, from 0."""
    names: tuple[str, ...]
    """The queries' names."""

    @classmethod
    def of(
        cls, logits: Sequence[float], labels: Sequence[float], queries: Sequence[object]
    ) -> Labelled:
        """Check what is to be fitted.

        Raises ``InvalidRequestError`` for lengths that differ, logits that aren't finite, labels
        below 0, labels of one kind, and fewer than 10 queries.
        """
        x, y = np.asarray(logits, np.float64), np.asarray(labels, np.float64)
        if not (x.ndim == 1 and x.shape == y.shape and len(queries) == len(x)):
            raise InvalidRequestError(
                f"expected a logit, a label and a query for each pair, got {x.shape}, {y.shape} "
                f"and {len(queries)}"
            )
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise InvalidRequestError("logits and labels must be finite: leave out what has none")
        if (y < 0).any() or not 0 < y.sum() < len(y):
            raise InvalidRequestError(
                "expected labels from 0, of relevant and of other documents; got "
                f"{np.count_nonzero(y)} above 0 among {len(y)}"
            )
        names: dict[str, int] = {}
        query = np.array([names.setdefault(str(each), len(names)) for each in queries], np.intp)
        if len(names) < QUERIES_FROM:
            raise InvalidRequestError(
                f"a calibration is tried on queries that it wasn't fitted on, and needs "
                f"{QUERIES_FROM} of them at least; got {len(names)}. Judge documents of more"
            )
        return cls(x, y, query, tuple(names))

    def only(self, kept: NDArray[np.bool_]) -> Labelled:
        """The pairs that are ``kept``, with the same numbers of queries."""
        return Labelled(self.logits[kept], self.labels[kept], self.query[kept], self.names)

    @property
    def share(self) -> float:
        """The share of relevant documents, between 0 and 1."""
        return float(self.labels.mean())

    @property
    def binary(self) -> bool:
        """Whether all labels are 0 or 1."""
        return bool(np.isin(self.labels, (0.0, 1.0)).all())


def fit_curve(kind: CurveKind, data: Labelled) -> Curve:
    """Fit one kind of curve by the least log loss.

    Platt scaling is J. Platt, "Probabilistic Outputs for Support Vector Machines" (1999);
    temperature C. Guo and others, "On Calibration of Modern Neural Networks", ICML 2017; isotonic
    B. Zadrozny and C. Elkan, "Transforming classifier scores into accurate multiclass probability
    estimates", KDD 2002. Raises ``InvalidRequestError`` where relevance doesn't rise with logits,
    and for an isotonic fit to fewer than 1,000 labels.
    """
    if kind == "isotonic":
        if len(data.labels) < ISOTONIC_FROM:
            raise InvalidRequestError(
                f"an isotonic calibration needs {ISOTONIC_FROM} labels or more, and there are "
                f"{len(data.labels)}; use 'platt', or judge more"
            )
        return Curve(kind="isotonic", steps=isotonic_steps(data.logits, data.labels))
    slopes, intercept = fit_logistic(data.logits[:, None], data.labels, intercept=kind == "platt")
    slope = float(slopes[0])
    if slope <= 0 and kind == "temperature":
        raise InvalidRequestError(
            "no temperature fits: where the logit is 0, these documents are far from as often "
            "relevant as not; use 'platt', which moves that point"
        )
    if slope <= 0:
        raise InvalidRequestError(
            "relevance doesn't rise with the logits, so no score can say how likely it is. Don't "
            "use this model on these documents; or are labels and logits in different orders?"
        )
    return Curve(kind=kind, slope=slope, intercept=intercept)


def isotonic_steps(logits: Floats, labels: Floats) -> tuple[tuple[float, float], ...]:
    """The rising step function with the least squares: the logits where steps begin, and chances.

    Labels are smoothed as for Platt scaling, so that no chance is 0 or 1. A step begins halfway
    between its lowest logit and the one below, the first at its lowest.
    """
    x, place = np.unique(logits, return_inverse=True)
    weight = np.bincount(place).astype(np.float64)
    target = smoothed(labels)
    level = pool_adjacent_violators(np.bincount(place, target) / weight, weight)
    level = np.clip(level, *bounds(labels))
    starts = np.flatnonzero(np.diff(level, prepend=-np.inf) > 0)
    edges = np.where(starts > 0, (x[starts] + x[starts - 1]) / 2, x[0])
    # Logits that are the nearest numbers have no number between them.
    edges = np.maximum(edges, np.nextafter(x[np.maximum(starts - 1, 0)], np.inf))
    edges[0] = x[0]
    return tuple(zip(edges.tolist(), level[starts].tolist(), strict=True))


def pool_adjacent_violators(values: Floats, weights: Floats) -> Floats:
    """The rising values nearest to ``values`` (``float64 [n]``), by weighted squares.

    M. Ayer and others, "An empirical distribution function for sampling with incomplete
    information" (1955).
    """
    means: list[float] = []
    sums: list[float] = []
    sizes: list[int] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, total, size = value, weight, 1
        while means and means[-1] >= mean:
            before = sums.pop()
            mean = (means.pop() * before + mean * total) / (before + total)
            total += before
            size += sizes.pop()
        means.append(mean)
        sums.append(total)
        sizes.append(size)
    return np.repeat(means, sizes)


def fold_of_queries(data: Labelled, folds: int = FOLDS) -> NDArray[np.intp]:
    """The fold of each query, from 0: by a hash of its name, whatever order queries come in.

    Queries with a relevant document are dealt out first, so that each fold has some.
    """
    relevant = np.zeros(len(data.names), np.bool_)
    relevant[data.query[data.labels > 0]] = True
    hashed = [sha256(name.encode("utf-8", "surrogatepass")).digest() for name in data.names]
    order = sorted(range(len(hashed)), key=lambda at: (not relevant[at], hashed[at]))
    fold = np.empty(len(order), np.intp)
    fold[order] = np.arange(len(order)) % folds
    return fold


def left_out(kind: CurveKind, data: Labelled) -> Floats:
    """The chance of each pair, by the curve that was fitted without its query's fold.

    Raises what ``fit_curve`` does, where the parts are too small to be fitted.
    """
    fold = fold_of_queries(data)[data.query]
    chances = np.empty(len(fold))
    for each in range(FOLDS):
        rest = data.only(fold != each)
        if not 0 < rest.labels.sum() < len(rest.labels):
            raise InvalidRequestError(
                "too few queries have relevant documents, or others: without a fifth of the "
                "queries, labels of one kind are left. Judge documents of more"
            )
        # A part of 1,000 labels may have fewer.
        curve = (
            Curve(kind=kind, steps=isotonic_steps(rest.logits, rest.labels))
            if kind == "isotonic"
            else fit_curve(kind, rest)
        )
        chances[fold == each] = curve(data.logits[fold == each])
    return chances


def log_losses(chances: Floats, labels: Floats) -> Floats:
    """The log loss of each pair, in nats: ``float64 [pairs]``."""
    p = np.clip(chances, 1e-15, 1 - 1e-15)
    return np.asarray(-labels * np.log(p) - (1 - labels) * np.log1p(-p))


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One kind of curve, tried on queries that it wasn't fitted on."""

    kind: CurveKind
    log_loss: float
    """Mean over pairs, in nats."""
    over_best: Difference
    """Its log loss less that of the kind with the least."""


def choose_kind(data: Labelled) -> tuple[CurveKind, tuple[Trial, ...]]:
    """Choose the simplest kind whose log loss isn't certainly more than the least.

    From the simplest: temperature, Platt, and isotonic from 1,000 labels on. Returns the kind, and
    what was tried.
    """
    kinds: list[CurveKind] = ["temperature", "platt"]
    if len(data.labels) >= ISOTONIC_FROM:
        kinds.append("isotonic")
    losses: dict[CurveKind, Floats] = {}
    for kind in kinds:
        try:
            losses[kind] = log_losses(left_out(kind, data), data.labels)
        except InvalidRequestError:
            # Another kind may fit; Platt scaling has the error of none.
            if kind == "platt":
                raise
    best = min(losses, key=lambda kind: float(losses[kind].mean()))
    trials = tuple(
        Trial(
            kind=kind,
            log_loss=float(losses[kind].mean()),
            over_best=paired_ratio_bootstrap(losses[kind] - losses[best], data.query),
        )
        for kind in losses
    )
    return next(each.kind for each in trials if each.over_best.low <= 0), trials
