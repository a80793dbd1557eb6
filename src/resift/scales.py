"""Scales other than the logit: which options still mean something on them."""

from __future__ import annotations

from dataclasses import replace

from resift.errors import InvalidRequestError
from resift.options import RankOptions
from resift.prior import resolve_prior

LOGIT = "logit"
ORDER = "order"
"""The scale of a model that gives an order, and no scores."""


def on_scale(options: RankOptions, scale: str, model: str) -> RankOptions:
    """The options as they apply to what ``model`` gives, which is on ``scale``.

    ``normalization="auto"`` is settled. Raises ``InvalidRequestError`` for options that need
    logits, where there are none.
    """
    if scale == LOGIT:
        automatic = options.normalization == "auto"
        return replace(options, normalization="sigmoid") if automatic else options
    gives = (
        "an order, and no scores" if scale == ORDER else f"scores on a scale of its own, {scale!r}"
    )
    if options.normalization not in ("auto", "none"):
        raise InvalidRequestError(
            f"{model} gives {gives}, so normalization={options.normalization!r} has no logits to "
            "work on; leave it out, or give normalization='none'"
        )
    if resolve_prior(options.prior, None) is not None:
        raise InvalidRequestError(
            f"{model} gives {gives}, so there is no logit to add prior={options.prior!r} to; leave "
            "it out"
        )
    if scale == ORDER and options.score_threshold is not None:
        raise InvalidRequestError(
            f"{model} gives {gives}, so none can reach score_threshold={options.score_threshold}; "
            "leave it out, and give top_n"
        )
    return replace(options, normalization="none", prior=None)
