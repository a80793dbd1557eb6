"""Logits to ranked documents: order, normalise, threshold, cut."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from resift.normalization import normalize
from resift.options import RankOptions
from resift.ranking import RankedDocument


def select_documents(
    logits: NDArray[np.float32],
    posteriors: NDArray[np.float64],
    indices: Sequence[int],
    truncated_tokens: Sequence[int],
    options: RankOptions,
) -> tuple[RankedDocument, ...]:
    """The documents to return, best first.

    ``logits`` (``float32 [scored]``, finite) and ``posteriors`` (``float64 [scored]``) belong to
    the documents at ``indices``, in ascending order; ``truncated_tokens`` has a number for every
    document.
    """
    scores = normalize(posteriors, options.normalization)
    # By posterior, because scores saturate; a stable sort keeps the input's order among equals.
    ranked = (
        RankedDocument(
            index=indices[at],
            score=scores[at],
            logit=float(logits[at]),
            posterior=float(posteriors[at]),
            truncated_tokens=truncated_tokens[indices[at]],
        )
        for at in np.argsort(-posteriors, kind="stable").tolist()
        if options.score_threshold is None or scores[at] >= options.score_threshold
    )
    return tuple(islice(ranked, options.top_n))
