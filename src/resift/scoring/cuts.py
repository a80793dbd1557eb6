"""Which documents go on from one stage of a cascade to the next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from resift.call import Call
from resift.checks import check_positive_int
from resift.errors import InvalidRequestError
from resift.prior import Prior
from resift.request import Request

Estimates = NDArray[np.float32] | NDArray[np.float64]
"""``[texts]``: what a scorer gave each of a request's different texts."""

Kept = NDArray[np.bool_]
"""``bool [texts]``: whether the next scorer gets each of a request's different texts."""


@dataclass(frozen=True, slots=True)
class Best:
    """Keeps so many documents, the best by their estimates and the ``prior``.

    Among equals, those that come first in the order given. A document with the same text as one
    that is kept is kept too, as it costs nothing.
    """

    documents: int

    def applies(self, request: Request, call: Call) -> bool:  # noqa: ARG002
        """Whether there are more documents than are kept."""
        return len(request.slots) > self.documents

    def kept(
        self,
        estimates: Estimates,
        request: Request,
        call: Call,  # noqa: ARG002
        prior: Prior | None,
    ) -> Kept:
        """Which texts the best documents have: ``bool [texts]``, by estimates of ``[texts]``."""
        slots = np.array(request.slots, dtype=np.intp)
        posteriors = _posteriors(estimates, slots, _added(request, prior))
        order = np.argsort(-posteriors, kind="stable")
        best = order[np.isfinite(posteriors[order])][: self.documents]
        kept: Kept = ~np.isfinite(estimates)
        kept[slots[best]] = True
        return kept


@dataclass(frozen=True, slots=True)
class Margin:
    """Keeps the documents that can still reach ``top_n``, where a call asks to prune.

    Those are the documents whose estimate, with the ``prior``, is at most ``margin`` below that of
    the ``top_n``-th best, in logits of the scorer that estimates. Raises ``InvalidRequestError``
    for a margin that isn't a number of at least 0.
    """

    margin: float

    def __post_init__(self) -> None:
        number = isinstance(self.margin, Real) and not isinstance(self.margin, bool)
        if not number or math.isnan(self.margin) or self.margin < 0:
            raise InvalidRequestError(
                f"margin must be a number of at least 0, in logits, not {self.margin!r}"
            )

    def applies(self, request: Request, call: Call) -> bool:
        """Whether the call asks to leave documents out, and has enough of them for it to pay."""
        return may_prune(request, call)

    def kept(self, estimates: Estimates, request: Request, call: Call, prior: Prior | None) -> Kept:
        """Which texts can still reach ``top_n``, ``bool [texts]``, by estimates of ``[texts]``."""
        top_n = call.options.top_n or len(request.slots)
        added = _added(request, prior)
        return survivors(estimates, request.slots, top_n, self.margin, added)


Cut = Best | Margin
"""A rule for which documents go on. Those without a finite estimate do, and don't count as best."""


def as_cut(name: str, given: object) -> Cut:
    """The rule that an entry of ``keep`` means.

    Raises ``InvalidRequestError`` for what is neither an ``int`` of at least 1 nor a ``Margin``.
    """
    if isinstance(given, Margin):
        return given
    documents = check_positive_int(name, given, "a Margin")
    if documents is None:
        raise InvalidRequestError(f"{name} must be an int of at least 1, or a Margin: None")
    return Best(documents)


def may_prune(request: Request, call: Call) -> bool:
    """Whether a call asks to leave documents out, and has enough of them for it to pay.

    Measured: with 3 × ``top_n`` documents about two thirds survive, with 2 × three quarters, and
    estimating costs a fifth of a full pass; below 3 × it doesn't pay.
    """
    if call.options.prune != "auto" or call.options.top_n is None:
        return False
    return 3 * call.options.top_n <= len(request.slots)


def survivors(
    estimates: Estimates,
    slots: Sequence[int],
    top_n: int,
    margin: float,
    prior: NDArray[np.float64] | None = None,
) -> Kept:
    """Whether each text has a document at most ``margin`` below the ``top_n``-th best document.

    ``estimates`` (``[texts]``) may hold NaN and infinity: such a text is kept, and doesn't
    count among the best. ``slots`` has the position of each document's text, and ``prior``
    (``float64 [documents]``) is added to its estimate. Returns ``bool [texts]``.
    """
    at = np.array(slots, dtype=np.intp)
    posteriors = _posteriors(estimates, at, prior)
    finite = posteriors[np.isfinite(posteriors)]
    kept: Kept = np.ones(len(estimates), dtype=np.bool_)
    if len(finite) >= top_n:
        least = np.sort(finite)[-top_n] - margin
        kept[:] = ~np.isfinite(estimates)
        kept[at[posteriors >= least]] = True
    return kept


def _added(request: Request, prior: Prior | None) -> NDArray[np.float64] | None:
    return prior(request.places, request.first_stage_scores) if prior else None


def _posteriors(
    estimates: Estimates, slots: NDArray[np.intp], prior: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """The estimate of each document's text, with its prior: ``float64 [documents]``."""
    found = estimates[slots].astype(np.float64)
    return found if prior is None else found + prior
