"""Logits to scores: pure functions that never change an order, except by rounding."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from resift.calibrations import (
    ModelCalibration,
    calibrations_folder,
    file_of,
    is_path,
    known_names,
    load,
)
from resift.errors import InvalidRequestError
from resift.logistic import Floats, check_labels, fit_logistic, sigmoid

NormalizationName = Literal["auto", "sigmoid", "none", "minmax", "softmax"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """Platt scaling: ``score = sigmoid(slope * logit + intercept)``.

    Platt, "Probabilistic Outputs for Support Vector Machines" (1999). ``slope`` must be positive,
    so that scores rise with logits; otherwise ``InvalidRequestError``.
    """

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        given = (self.slope, self.intercept)
        real = all(isinstance(x, Real) and math.isfinite(x) for x in given)
        if not real or self.slope <= 0:
            raise InvalidRequestError(
                f"a calibration needs a finite slope > 0 and a finite intercept, "
                f"not slope={self.slope!r}, intercept={self.intercept!r}"
            )

    def __call__(self, logits: Floats) -> Floats:
        """Turn logits into probabilities of relevance, of the same shape."""
        return sigmoid(self.slope * logits + self.intercept)

    @classmethod
    def fit(cls, logits: Sequence[float], labels: Sequence[bool | int]) -> Calibration:
        """Fit to logits and their labels (1 relevant, 0 not), by Newton's method.

        Labels are smoothed as in Platt (1999), so that separable data has a finite fit. Raises
        ``InvalidRequestError`` unless there is one finite logit for each label, when either class
        is missing, and when relevance falls with logits.
        """
        x = np.asarray(logits, dtype=np.float64)
        y = np.asarray(labels, dtype=np.float64)
        if x.shape != y.shape or x.ndim != 1 or not np.isfinite(x).all():
            raise InvalidRequestError(
                f"expected one finite logit for each label, got {x.shape} and {y.shape}"
            )
        check_labels(y)
        slopes, intercept = fit_logistic(x[:, None], y)
        return cls(slope=float(slopes[0]), intercept=intercept)

    @staticmethod
    def load(given: str | os.PathLike[str]) -> ModelCalibration:
        """Read what ``resift calibrate`` wrote: the path of a ``.json`` file, or a name.

        Names are looked up in the folder ``calibrations`` of the cache. Raises
        ``InvalidRequestError`` where there is none, or a damaged one.
        """
        return load(given)


Normalization = NormalizationName | Calibration | ModelCalibration | str


def minmax(logits: Floats) -> Floats:
    """Scale a request's logits linearly onto 0 to 1; all become 1 where all are equal."""
    low, high = logits.min(), logits.max()
    return (logits - low) / (high - low) if high > low else np.ones_like(logits)


def softmax(logits: Floats) -> Floats:
    """``exp(x)`` as shares of the request, which sum to 1."""
    exponentials = np.exp(logits - logits.max())
    shares: Floats = exponentials / exponentials.sum()
    return shares


_FUNCTIONS: dict[NormalizationName, Callable[[Floats], Floats]] = {
    "sigmoid": sigmoid,
    "none": lambda logits: logits,
    "minmax": minmax,
    "softmax": softmax,
}


def check_normalization(given: object) -> Normalization:
    """Pass a name or a calibration, and turn what describes a calibration into it.

    That is a mapping, the path of a file, or the name of one in the cache. Raises
    ``InvalidRequestError`` for anything else.
    """
    if isinstance(given, (Calibration, ModelCalibration)):
        return given
    if isinstance(given, Mapping) and set(given) == {"slope", "intercept"}:
        return Calibration(slope=given["slope"], intercept=given["intercept"])
    if isinstance(given, Mapping) and "kind" in given:
        return ModelCalibration.of(given)
    for name in get_args(NormalizationName):
        if given == name:
            return name  # type: ignore[no-any-return]
    file = file_of(given) if isinstance(given, str) else None
    if isinstance(given, str) and file is not None and (file.is_file() or is_path(given)):
        return load(given)
    raise InvalidRequestError(
        f"normalization must be one of {list(get_args(NormalizationName))}, a Calibration, the "
        f"path of a .json file that resift calibrate wrote, or the name of one in "
        f"{calibrations_folder()}, which has {known_names()}; not {given!r}"
    )


def over_all_documents(normalization: Normalization) -> bool:
    """Whether a document's score depends on the logits of the others."""
    return normalization in ("minmax", "softmax")


def normalize(logits: NDArray[np.float32] | Floats, normalization: Normalization) -> list[float]:
    """The scores of one request's logits (floats, ``[documents]``), in the same order."""
    if not len(logits):
        return []
    # A checked one: no other str is left.
    function = normalization if callable(normalization) else _FUNCTIONS[normalization]  # type: ignore[index]
    scores: list[float] = function(logits.astype(np.float64)).tolist()
    return scores
