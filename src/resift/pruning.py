"""Early exit: which documents can still reach ``top_n``, by estimates from the first layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from resift.loading import EarlyExit
from resift.options import RankOptions
from resift.request import Request
from resift.scoring import score_requests
from resift.tokenization import TokenizedRequest

Kept = NDArray[np.bool_]
"""``[texts]``: which of a request's different texts the whole model scores."""


def may_prune(request: Request, options: RankOptions) -> bool:
    """Whether documents can be left out, by what was asked for, and it can be worth it.

    The estimates take up to half of the whole model's time: they don't pay where half stay.
    """
    if options.prune != "auto" or options.top_n is None:
        return False
    return 2 * options.top_n <= len(request.slots)


def prune(
    early: EarlyExit | None,
    requests: Sequence[Request],
    tokenized: Sequence[TokenizedRequest],
    options: RankOptions,
    *,
    max_batch_tokens: int | None,
    progress: Callable[[int, int], None],
) -> list[Kept]:
    """What each request keeps: all where there is nothing to prune, or nothing to prune it by.

    ``progress`` hears 0 of all pairs after each batch of estimates.
    """
    kept = [np.ones(len(request.texts), dtype=np.bool_) for request in requests]
    chosen = [i for i, request in enumerate(requests) if may_prune(request, options)]
    if early is None or early.model is None or options.top_n is None or not chosen:
        return kept
    total = sum(request.pairs for request in tokenized)
    estimated = score_requests(
        early.model,
        [tokenized[i] for i in chosen],
        max_batch_tokens=max_batch_tokens,
        progress=lambda done, of: progress(0, total),  # noqa: ARG005
    )
    for i, estimates in zip(chosen, estimated, strict=True):
        slots = requests[i].slots
        kept[i] = survivors(estimates.logits, slots, options.top_n, early.margin)
    return kept


def survivors(
    estimates: NDArray[np.float32], slots: Sequence[int], top_n: int, margin: float
) -> Kept:
    """Texts whose estimate is at most ``margin`` below that of the ``top_n``-th best document.

    ``estimates`` (``float32 [texts]``) may hold NaN and infinity, which prune nothing: neither
    their own text nor, by raising the bar, another. ``slots`` says where each document's text is.
    """
    finite = np.isfinite(estimates)
    of_documents = estimates[[slot for slot in slots if finite[slot]]]
    if len(of_documents) < top_n:
        return np.ones(len(estimates), dtype=np.bool_)
    least = np.float64(np.sort(of_documents)[-top_n]) - margin
    kept: Kept = ~finite | (estimates >= least)
    return kept
