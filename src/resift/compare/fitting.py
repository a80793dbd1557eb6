"""The scale of a server's scores: which function of the logits here they are, if any.

A candidate is judged by its inverse. A score, as far as it may have been rounded, stands for an
interval of logits, and the logit here should be in it. So errors are in logits on every scale, and
a saturated score proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from resift.compare.tables import Values

Pairs = Sequence[tuple[Values, Values]]
"""The logits here and the scores there, for each request."""

TOLERANCE = 0.15
"""Root mean square, in logits: other precisions of the same weights stay below it."""
_LARGEST = 5 * TOLERANCE


@dataclass(frozen=True, slots=True)
class Grain:
    """The rounding of numbers."""

    name: str | None
    """``None`` for no more than float32's."""
    relative: float = 1e-6
    absolute: float = 1e-12

    def half(self, values: Values) -> Values:
        """The largest error by rounding, for each value."""
        return self.relative * np.abs(values) + self.absolute


@dataclass(frozen=True, slots=True)
class Fit:
    """The scale that fits, and how far logits are from what the scores stand for."""

    scale: str
    mean: float
    """Root mean square, in logits."""
    largest: float
    factor: float = 1.0
    offset: float = 0.0
    """Of a logit, before the scale."""

    @property
    def is_simple(self) -> bool:
        """Whether it has no factor and no offset."""
        return (self.factor, self.offset) == (1.0, 0.0)


def grain_of(values: Values) -> Grain:
    """The coarsest rounding that all values show."""
    kept = np.unique(values[np.isfinite(values) & ~np.isin(values, (-1.0, 0.0, 1.0))])
    if len(kept) < 6:
        return Grain(None)
    for digits in (1, 2, 3, 4):
        if np.all(np.abs(kept - np.round(kept, digits)) < 1e-9):
            return Grain(f"{digits} decimals", absolute=0.5 * 10.0**-digits)
    single = kept.astype(np.float32)
    exact = np.all(single == kept)
    if exact and not np.any(single.view(np.uint32) & 0xFFFF):
        return Grain("bfloat16", relative=2.0**-8)
    with np.errstate(over="ignore"):
        half = kept.astype(np.float16)
    if np.all(half == kept):
        return Grain("float16", relative=2.0**-11, absolute=2.0**-25)
    return Grain(None)


def fit(pairs: Pairs, grain: Grain) -> Fit | None:
    """The simplest scale whose errors are within the tolerance; ``None`` where none is."""
    kept = []
    for here, there in pairs:
        both = np.isfinite(here) & np.isfinite(there)
        if both.any():
            kept.append((here[both], there[both]))
    if sum(len(here) for here, _ in kept) < 3:
        return None
    for scale, inverse in _CANDIDATES.items():
        found = _judge(scale, [(here, there, inverse(here)) for here, there in kept], grain)
        if found is not None:
            return found
    return _fit_line("temperature", _linear, kept, grain) or _fit_line(
        "sigmoid with temperature", _logit, kept, grain
    )


Inverse = Callable[[Values], Values]


def _judge(
    scale: str, judged: Sequence[tuple[Values, Values, Inverse]], grain: Grain
) -> Fit | None:
    errors = np.concatenate([_errors(*each, grain) for each in judged])
    if not np.isfinite(errors).all():
        return None
    mean, largest = float(np.sqrt((errors**2).mean())), float(errors.max())
    return Fit(scale, mean, largest) if mean <= TOLERANCE and largest <= _LARGEST else None


def _errors(here: Values, there: Values, inverse: Inverse, grain: Grain) -> Values:
    """The distance of each logit from the interval that its score stands for."""
    with np.errstate(all="ignore"):
        half = grain.half(there)
        ends = np.stack([inverse(there - half), inverse(there + half)])
    low, high = ends.min(axis=0), ends.max(axis=0)
    found = np.maximum(np.maximum(low - here, here - high), 0.0)
    return np.where(np.isnan(found), np.inf, found)


def _linear(values: Values) -> Values:
    return values


def _logit(values: Values) -> Values:
    # What is outside of a scale stands for an infinite logit, which no logit here is near to.
    inside = np.clip(values, 0.0, 1.0)
    return np.log(inside) - np.log1p(-inside)


def _twice(values: Values) -> Values:
    return _logit(_logit(values))


def _softmax(here: Values) -> Inverse:
    def inverse(values: Values) -> Values:
        whole = np.log(np.exp(here - here.max()).sum()) + here.max()
        return np.log(np.maximum(values, 0.0)) + float(whole)

    return inverse


def _minmax(here: Values) -> Inverse:
    return lambda values: here.min() + values * (here.max() - here.min())


_CANDIDATES: dict[str, Callable[[Values], Inverse]] = {
    "logit": lambda _: _linear,
    "sigmoid": lambda _: _logit,
    "sigmoid of sigmoid": lambda _: _twice,
    "negated logit": lambda _: lambda values: -values,
    "negated sigmoid": lambda _: lambda values: -_logit(values),
    "softmax": _softmax,
    "minmax": _minmax,
}
"""For each scale, a function of a request's logits that gives the function from score to logit."""
REQUESTWISE = frozenset({"softmax", "minmax"})


def _fit_line(
    scale: str,
    inverse: Inverse,
    pairs: Sequence[tuple[Values, Values]],
    grain: Grain,
) -> Fit | None:
    here = np.concatenate([each for each, _ in pairs])
    with np.errstate(all="ignore"):
        there = np.concatenate([inverse(each) for _, each in pairs])
    finite = np.isfinite(there)
    if finite.sum() < 4 or np.ptp(there[finite]) < 1e-9 or np.ptp(here[finite]) < 1e-9:
        return None
    factor, offset = (float(each) for each in np.polyfit(here[finite], there[finite], 1))
    if abs(factor) < 1e-9:
        return None
    back: Inverse = lambda values: (inverse(values) - offset) / factor  # noqa: E731
    found = _judge(scale, [(each, scores, back) for each, scores in pairs], grain)
    return None if found is None else Fit(scale, found.mean, found.largest, factor, offset)


def expected(scale: Fit, here: Values) -> Values:
    """The scores that logits have on a scale that doesn't depend on the request."""
    moved = scale.factor * here + scale.offset
    sigmoid = 1 / (1 + np.exp(-moved))
    return {
        "logit": moved,
        "temperature": moved,
        "negated logit": -moved,
        "negated sigmoid": 1 - sigmoid,
        "sigmoid of sigmoid": 1 / (1 + np.exp(-sigmoid)),
    }.get(scale.scale, sigmoid)
