"""A cascade of two scorers: the second scores only what the first finds promising."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from resift.call import Call
from resift.prior import Prior, resolve_prior
from resift.request import Request
from resift.scoring.scorer import Scored, Scorer, Source

Kept = NDArray[np.bool_]
"""``bool [texts]``: whether the second scorer gets each of a request's different texts."""


class Cascade:
    """Scores with ``then`` the documents that can still reach ``top_n``, by estimates of ``first``.

    Where a call asks to prune, documents whose estimate is further than ``margin``, in logits of
    ``first``, below the ``top_n``-th best are left out; a prior is added to both. All logits
    returned are those of ``then``.
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
        prior = self._prior(call)
        kept = {
            i: survivors(
                each.logits,
                requests[i].slots,
                call.options.top_n or 0,
                self._margin,
                prior(requests[i].places, requests[i].first_stage_scores) if prior else None,
            )
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

    def _prior(self, call: Call) -> Prior | None:
        if call.options.prior == "auto":
            # Its card has the weight.
            self._then.warm_up(call)
        return resolve_prior(call.options.prior, self._then.source.place_weight)


def may_prune(request: Request, call: Call) -> bool:
    """Whether a call asks to leave documents out, and has enough of them for it to pay.

    Measured: with 3 × ``top_n`` documents about two thirds survive, with 2 × three quarters, and
    estimating costs a fifth of a full pass; below 3 × it doesn't pay.
    """
    if call.options.prune != "auto" or call.options.top_n is None:
        return False
    return 3 * call.options.top_n <= len(request.slots)


def survivors(
    estimates: NDArray[np.float32] | NDArray[np.float64],
    slots: Sequence[int],
    top_n: int,
    margin: float,
    prior: NDArray[np.float64] | None = None,
) -> Kept:
    """Whether each text has a document at most ``margin`` below the ``top_n``-th best document.

    ``estimates`` (``float32 [texts]``) may hold NaN and infinity: such a text is kept, and doesn't
    count among the best. ``slots`` has the position of each document's text, and ``prior``
    (``float64 [documents]``) is added to its estimate. Returns ``bool [texts]``.
    """
    at = np.array(slots, dtype=np.intp)
    posteriors = estimates[at].astype(np.float64)
    if prior is not None:
        posteriors += prior
    finite = posteriors[np.isfinite(posteriors)]
    kept: Kept = np.ones(len(estimates), dtype=np.bool_)
    if len(finite) >= top_n:
        least = np.sort(finite)[-top_n] - margin
        kept[:] = ~np.isfinite(estimates)
        kept[at[posteriors >= least]] = True
    return kept


def _joined(estimate: Scored, kept: Kept, answer: Scored) -> Scored:
    """The answer for the texts that were ``kept``, put in place among all texts."""
    status = answer.source.status
    if status == "complete":
        status = estimate.source.status
    logits = np.full(len(kept), np.nan, dtype=answer.logits.dtype)
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
