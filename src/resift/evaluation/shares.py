"""Differences of a fit and its use: how rare relevant documents are, and who saw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from resift.errors import InvalidRequestError
from resift.logistic import Floats

_STEPS = 10_000


def shift_of(share_in_use: float, share_in_fit: float) -> float:
    """The log-odds to add to a chance for another share of relevant documents.

    ``log(u / (1 - u)) - log(f / (1 - f))``: M. Saerens and others, "Adjusting the outputs of a
    classifier to new a priori probabilities" (2002), equation 4; of a logistic regression, the
    prior correction of G. King and L. Zeng, "Logistic regression in rare events data" (2001). It
    holds where relevant documents, and others, have the same logits in use as in the fit. Raises
    ``InvalidRequestError`` unless both lie between 0 and 1.
    """
    for name, given in (("in use", share_in_use), ("in the fit", share_in_fit)):
        if not 0 < given < 1:
            raise InvalidRequestError(
                f"the share of relevant documents {name} must lie between 0 and 1, not {given!r}"
            )
    return float(
        np.log(share_in_use) - np.log1p(-share_in_use)
        - np.log(share_in_fit) + np.log1p(-share_in_fit)
    )  # fmt: skip


def share_of_traffic(chances: Floats, share_in_fit: float) -> float:
    """Estimate the share of relevant documents among others that nobody judged.

    ``chances`` (``float64 [documents]``) are those of the calibration, without a shift. By
    expectation-maximisation, as in Saerens and others (2002), section 2.2. Raises
    ``InvalidRequestError`` where it comes out as 0 or 1: then the traffic isn't of the same kind.
    """
    share = share_in_fit
    for _ in range(_STEPS):
        up = chances * (share / share_in_fit)
        down = (1 - chances) * ((1 - share) / (1 - share_in_fit))
        before, share = share, float((up / (up + down)).mean())
        if abs(share - before) < 1e-12:
            break
        if not 1e-9 < share < 1 - 1e-9:
            raise InvalidRequestError(
                f"the traffic looks like {'none' if share < 0.5 else 'all'} of it were relevant: "
                "its logits aren't those of the judged documents. Judge some of the traffic"
            )
    return share


def propensities_of(
    documents: Sequence[object], ranks: NDArray[np.intp], clicked: NDArray[np.bool_]
) -> dict[int, float]:
    """Estimate how likely each rank is looked at, the first being 1, from clicks alone.

    ``documents`` says what was shown: a query and a document. Only those that were shown at several
    ranks tell: the same document, clicked less often further down, was seen less often there. This
    is the likelihood of clicks that are a product of a document's appeal and a rank's propensity,
    as in A. Agarwal and others, "Estimating position bias without intrusive interventions", WSDM
    2019. Raises ``InvalidRequestError`` where ranks aren't connected by such documents.
    """
    numbers: dict[object, int] = {}
    of = np.array([numbers.setdefault(each, len(numbers)) for each in documents], np.intp)
    levels, at = np.unique(ranks, return_inverse=True)
    shown = np.zeros((len(numbers), len(levels)))
    clicks = np.zeros_like(shown)
    np.add.at(shown, (of, at), 1.0)
    np.add.at(clicks, (of, at), clicked.astype(np.float64))
    moved = (shown > 0).sum(axis=1) > 1
    shown, clicks = shown[moved], clicks[moved]
    _check_connected(levels, shown * clicks.sum(axis=1, keepdims=True))
    useful = clicks.sum(axis=1) > 0
    shown, clicks = shown[useful], clicks[useful]
    seen = np.ones(len(levels))
    for _ in range(_STEPS):
        appeal = clicks.sum(axis=1) / (shown @ seen)
        before, seen = seen, clicks.sum(axis=0) / (appeal @ shown)
        seen = seen / seen[0]
        if np.abs(seen - before).max() < 1e-10:
            break
    if (seen <= 0).any():
        rank = int(levels[int(np.argmin(seen))])
        raise InvalidRequestError(
            f"no document that was shown at several ranks was clicked at rank {rank}, so how "
            "likely it is looked at isn't known; leave such ranks out, or give propensities"
        )
    return {int(rank): float(min(each, 1.0)) for rank, each in zip(levels, seen, strict=True)}


def _check_connected(levels: NDArray[np.intp], shown: NDArray[np.float64]) -> None:
    """Refuse ranks that no chain of clicked documents compares with the first."""
    known = np.zeros(len(levels), np.bool_)
    known[0] = levels[0] == 1
    for _ in levels:
        known |= (shown[shown[:, known].sum(axis=1) > 0] > 0).any(axis=0)
    if not known.all():
        missing = levels[~known].tolist()
        raise InvalidRequestError(
            f"propensities can't be estimated: no document was shown and clicked both at rank 1 "
            f"and, by way of others, at {missing[:10]}. Clicks say nothing of a rank where each "
            "document always has the same one; give propensities, or shuffle a share of the traffic"
        )


def labels_of_clicks(
    clicked: NDArray[np.bool_], ranks: NDArray[np.intp], propensities: Mapping[int, float]
) -> Floats:
    """Labels with the expectation of relevance: ``clicked / propensity`` (``float64 [shown]``).

    T. Joachims and others, "Unbiased learning-to-rank with biased feedback", WSDM 2017. It holds
    where a click means that a document was looked at and relevant, and whoever looks at a relevant
    one clicks. Raises ``InvalidRequestError`` for a rank without a propensity.
    """
    missing = sorted(set(ranks.tolist()) - set(propensities))
    if missing:
        raise InvalidRequestError(
            f"there is no propensity for rank {missing[0]}; expected one for each rank shown, or "
            "leave out what was shown further down"
        )
    seen = np.array([propensities[rank] for rank in ranks.tolist()])
    return np.asarray(clicked / seen, np.float64)
