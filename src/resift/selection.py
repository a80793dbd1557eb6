"""Logits to ranked documents: order, normalise, threshold, append what wasn't scored, cut."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from resift.normalization import normalize
from resift.options import RankOptions
from resift.ranking import RankedDocument
from resift.scales import LOGIT, ORDER


def select_documents(
    logits: NDArray[np.float32] | NDArray[np.float64],
    posteriors: NDArray[np.float64],
    indices: Sequence[int],
    unscored: Sequence[int],
    truncated_tokens: Sequence[int],
    options: RankOptions,
    scale: str = LOGIT,
) -> tuple[RankedDocument, ...]:
    """The documents to return, best first.

    ``logits`` (``float32 [scored]``, finite; on another ``scale`` than logits, ``float64``) and
    ``posteriors`` (``float64 [scored]``) belong to the documents at ``indices``, in ascending
    order; ``unscored`` are those of documents that follow without a score, and
    ``truncated_tokens`` has a number for every document.
    """
    scores = normalize(posteriors, options.normalization)
    # By posterior, because scores saturate; a stable sort keeps the input's order among equals.
    ranked = (
        RankedDocument(
            index=indices[at],
            score=None if scale == ORDER else scores[at],
            logit=float(logits[at]) if scale == LOGIT else None,
            posterior=float(posteriors[at]) if scale == LOGIT else None,
            truncated_tokens=truncated_tokens[indices[at]],
        )
        for at in np.argsort(-posteriors, kind="stable").tolist()
        if options.score_threshold is None or scores[at] >= options.score_threshold
    )
    # No score reaches a threshold.
    rest = (_without_score(index) for index in unscored if options.score_threshold is None)
    return tuple(islice(chain(ranked, rest), options.top_n))


def _without_score(index: int) -> RankedDocument:
    return RankedDocument(index=index, score=None, logit=None, posterior=None, truncated_tokens=0)
