"""Early exit: which documents can still reach ``top_n``, by another model's estimates."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from resift.errors import (
    BackendUnavailableError,
    ModelError,
    ModelNotFoundError,
    UnsupportedModelError,
)
from resift.loading import LoadedModel
from resift.models import is_bundled
from resift.models.card import Estimator
from resift.models.manifest import sha256
from resift.options import LoadOptions, RankOptions
from resift.request import Request
from resift.scoring import score_requests
from resift.text.tokenizer import TokenizedRequest

_logger = logging.getLogger(__name__)

Kept = NDArray[np.bool_]
"""``[texts]``: which of a request's different texts the whole model scores."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruner:
    """A model's estimator, made ready."""

    model: LoadedModel | None = None
    """``None`` where there is none, or none that can be relied on."""
    margin: float = 0.0
    """As in ``models.card.Estimator``."""
    fallback: bool = False
    """Whether it isn't what the card names, or didn't run as its maker's did."""

    @classmethod
    def load(cls, model: LoadedModel, options: LoadOptions) -> Pruner:
        """Read what the model's card names, if it names one, with the model's own options."""
        wanted = model.files.card and model.files.card.estimator
        if not wanted:
            return cls()
        try:
            found = _load(model, wanted, replace(options, model=wanted.model))
        except (ModelError, BackendUnavailableError) as error:
            _logger.warning("%s. No document is pruned", error)
            return cls(fallback=True)
        return cls(model=found, margin=wanted.margin, fallback=found.fallback)


def _load(model: LoadedModel, wanted: Estimator, options: LoadOptions) -> LoadedModel:
    """Raises ``ModelError`` for what isn't the model that the margin was fitted with."""
    named = f"{model.files.name} has its documents estimated by {wanted.model}"
    if not is_bundled(wanted.model):
        raise ModelNotFoundError(f"{named}, which this version of resift doesn't come with")
    found = LoadedModel.load(options)
    digests = {(artifact.sha256, artifact.data_sha256) for artifact in found.files.artifacts}
    if (wanted.sha256, wanted.data_sha256) not in digests:
        raise UnsupportedModelError(
            f"{named}, and the one that this version of resift comes with has other weights: fit "
            "the margin again, or take the model that came with it"
        )
    same = sha256(found.files.tokenizer) == sha256(model.files.tokenizer)
    if not (same and type(found.family) is type(model.family) and found.window >= model.window):
        raise UnsupportedModelError(f"{named}, which reads other tokens")
    # For all callers together, as many forward passes at a time as there are threads. And a
    # document whose estimate isn't finite is kept: no more is needed.
    return replace(found, pool=model.pool, wider_backend=lambda: None)


def may_prune(request: Request, options: RankOptions) -> bool:
    """Whether documents can be left out, by what was asked for, and it can be worth it.

    Of three times ``top_n`` documents some two thirds stay, of twice ``top_n`` three quarters, and
    the estimates take a fifth of the time: of fewer, they hardly pay.
    """
    if options.prune != "auto" or options.top_n is None:
        return False
    return 3 * options.top_n <= len(request.slots)


def prune(
    pruner: Pruner | None,
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
    if pruner is None or pruner.model is None or options.top_n is None or not chosen:
        return kept
    total = sum(request.pairs for request in tokenized)
    estimated = score_requests(
        pruner.model,
        [tokenized[i] for i in chosen],
        max_batch_tokens=max_batch_tokens,
        progress=lambda done, of: progress(0, total),  # noqa: ARG005
    )
    for i, estimates in zip(chosen, estimated, strict=True):
        slots = requests[i].slots
        kept[i] = survivors(estimates.logits, slots, options.top_n, pruner.margin)
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
