"""Measures of one query's ranking, computed from the grades of its documents.

A grade says how relevant a document is to the query: 0, or less, for not at all. Documents that
nobody judged count as not relevant. All functions take the grades in the order of the ranking, the
first document's first; ``in_order`` makes that order from scores.

A query that was judged but not ranked is an empty ranking, and counts 0. A mean over queries is
over all that were judged, so leave none out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from resift.errors import InvalidRequestError

Gains = Literal["linear", "exponential"]
"""The gain of a document of grade g: g, or 2 to the power of g, less 1."""

# The largest grade for exponential gains, so that their sums are finite.
_MOST = 1000

Grades = Sequence[float] | NDArray[np.floating] | NDArray[np.integer]


def in_order(scores: Sequence[float] | NDArray[np.floating]) -> NDArray[np.intp]:
    """Places in ``scores`` (``[n]``) from the highest to the lowest: ``intp [n]``.

    Equal scores keep their order, and NaN comes last. trec_eval breaks ties by document id instead.
    """
    return np.argsort(-np.asarray(scores, np.float64), kind="stable")


def ndcg(ranked: Grades, judged: Grades, *, gains: Gains, k: int = 10) -> float:
    """Normalised discounted cumulative gain of the first ``k`` documents, from 0 to 1.

    The gain of the document at rank r, from 1, is divided by log2(r + 1). The sum over the first
    ``k`` is divided by that of the best possible ranking of all documents that were judged.

    ``ranked`` has the grades of a ranking, at least of its first ``k`` documents. ``judged`` has
    those of all documents that were judged for the query, whether they were ranked or not, in any
    order. Returns 0 where none of them is relevant: then no ranking is better than another.

    ``"linear"`` gains are those of K. Järvelin and J. Kekäläinen, "Cumulated gain-based evaluation
    of IR techniques", ACM TOIS 20(4), 2002, and with this discount the measure ``ndcg_cut`` of
    trec_eval, which is what BEIR and MTEB report. ``"exponential"`` gains are those of C. Burges
    and others, "Learning to rank using gradient descent", ICML 2005. For grades of 0 and 1, both
    are the same.

    Raises ``InvalidRequestError`` for other gains, a ``k`` below 1, grades that aren't finite
    numbers in one dimension or, with exponential gains, are above 1000, and for a ranking with more
    gain than the judged documents have.
    """
    if gains not in get_args(Gains):
        raise InvalidRequestError(f"gains must be one of {get_args(Gains)}, not {gains!r}")
    _check_depth(k)
    found = _discounted(_gains(ranked, gains), k)
    best = _discounted(np.sort(_gains(judged, gains))[::-1], k)
    # Larger than rounding the sums could make it.
    if found > best * (1 + 1e-9):
        raise InvalidRequestError(
            "the ranking has more gain than the best one of the judged documents; expected each "
            "document once, and the grades of all that were judged"
        )
    return min(1.0, found / best) if best else 0.0


def reciprocal_rank(ranked: Grades, *, k: int = 10, relevant: float = 1) -> float:
    """One over the rank, from 1, of the first document of grade ``relevant`` or more, from 0 to 1.

    ``ranked`` has the grades of a ranking. Returns 0 where the first ``k`` have none. The mean over
    queries is the mean reciprocal rank: E. Voorhees, "The TREC-8 question answering track report",
    TREC 1999.

    Raises ``InvalidRequestError`` for a ``k`` below 1, and for grades that aren't finite numbers in
    one dimension.
    """
    _check_depth(k)
    (places,) = np.nonzero(_finite(ranked)[:k] >= relevant)
    return 1 / (1 + int(places[0])) if len(places) else 0.0


def _check_depth(k: int) -> None:
    if k < 1:
        raise InvalidRequestError(f"k must be 1 or more, not {k}")


def _gains(grades: Grades, gains: Gains) -> NDArray[np.float64]:
    relevance = np.maximum(_finite(grades), 0)
    if gains == "linear":
        return relevance
    if relevance.max(initial=0) > _MOST:
        raise InvalidRequestError(
            f"grades must be at most {_MOST} for exponential gains, not {relevance.max():g}"
        )
    return np.exp2(relevance) - 1


def _finite(grades: Grades) -> NDArray[np.float64]:
    values = np.asarray(grades, np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise InvalidRequestError(
            f"grades must be finite numbers in one dimension, not {grades!r:.80}"
        )
    return values


def _discounted(gains: NDArray[np.float64], k: int) -> float:
    first = gains[:k]
    return float(first @ (1 / np.log2(np.arange(2, len(first) + 2))))
