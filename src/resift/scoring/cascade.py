"""A cascade of two scorers: the second scores only what the first finds promising."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from resift.call import Call
from resift.request import Request
from resift.scoring.scorer import Scored, Scorer, Source

Kept = NDArray[np.bool_]
"""``bool [texts]``: whether the second scorer gets each of a request's different texts."""


class Cascade:
    """Scores with ``then`` the documents that can still reach ``top_n``, by estimates of ``first``.

    Where a call asks to prune, documents whose estimate is further than ``margin``, in logits of
    ``first``, below the ``top_n``-th best are left out. All logits returned are those of ``then``.
    """

    def __init__(self, first: Scorer, then: Scorer, margin: float) -> None:
        self._first, self._then, self._margin = first, then, margin

    @property
    def source(self) -> Source:
        """The second scorer's source."""
        return self._then.source

    def warm_up(self, call: Call) -> None:
        """Load ``then``, and ``first`` where the call asks to prune."""
        self._then.warm_up(call)
        if call.options.prune == "auto":
            self._first.warm_up(call)

    def score(self, requests: Sequence[Request], call: Call) -> list[Scored]:
        """Answer each request; progress stays at 0 while estimates are made."""
        chosen = [i for i, request in enumerate(requests) if may_prune(request, call)]
        if not chosen:
            return self._then.score(requests, call)
        estimated = self._first.score(
            [requests[i] for i in chosen],
            replace(call, progress=lambda _, total: call.progress(0, total)),
        )
        estimates = dict(zip(chosen, estimated, strict=True))
        kept = {
            i: survivors(each.logits, requests[i].slots, call.options.top_n or 0, self._margin)
            for i, each in estimates.items()
        }
        left = [
            request.only(kept[i].tolist()) if i in kept else request
            for i, request in enumerate(requests)
        ]
        pruned = sum(int(each.pairs[~kept[i]].sum()) for i, each in estimates.items())
        answers = self._then.score(
            left,
            replace(
                call, progress=lambda done, total: call.progress(pruned + done, pruned + total)
            ),
        )
        return [
            _joined(estimates[i], kept[i], answer) if i in kept else answer
            for i, answer in enumerate(answers)
        ]


def may_prune(request: Request, call: Call) -> bool:
    """Whether a call asks to leave documents out, and has enough of them for it to pay.

    Measured: with 3 × ``top_n`` documents about two thirds survive, with 2 × three quarters, and
    estimating costs a fifth of a full pass; below 3 × it doesn't pay.
    """
    if call.options.prune != "auto" or call.options.top_n is None:
        return False
    return 3 * call.options.top_n <= len(request.slots)


def survivors(
    estimates: NDArray[np.float32], slots: Sequence[int], top_n: int, margin: float
) -> Kept:
    """Whether each text's estimate is at most ``margin`` below the ``top_n``-th best document's.

    ``estimates`` (``float32 [texts]``) may hold NaN and infinity: such a text is kept, and doesn't
    count among the best. ``slots`` has the position of each document's text. Returns
    ``bool [texts]``.
    """
    finite = np.isfinite(estimates)
    of_documents = estimates[[slot for slot in slots if finite[slot]]]
    if len(of_documents) < top_n:
        return np.ones(len(estimates), dtype=np.bool_)
    least = np.float64(np.sort(of_documents)[-top_n]) - margin
    kept: Kept = ~finite | (estimates >= least)
    return kept


def _joined(estimate: Scored, kept: Kept, answer: Scored) -> Scored:
    """The answer for the texts that were ``kept``, put in place among all texts."""
    status = answer.source.status
    if status == "complete":
        status = estimate.source.status
    logits = np.full(len(kept), np.nan, dtype=np.float32)
    scored = np.zeros_like(kept)
    pairs = np.zeros_like(estimate.pairs)
    truncated = estimate.truncated_tokens.copy()
    logits[kept], scored[kept], pairs[kept] = answer.logits, answer.scored, answer.pairs
    truncated[kept] = answer.truncated_tokens
    return replace(
        answer,
        logits=logits,
        scored=scored,
        pairs=pairs,
        truncated_tokens=truncated,
        source=replace(answer.source, status=status),
    )
