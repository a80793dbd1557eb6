"""The check of a ready scorer, given in place of a model."""

from __future__ import annotations

from resift.errors import InvalidRequestError
from resift.options import LoadOptions


def check_scorer(scorer: object, options: LoadOptions) -> None:
    """Pass a scorer that comes without options of loading a model.

    Raises ``InvalidRequestError`` for an object without a scorer's methods, and for ``options``
    other than the defaults, except ``on_timing``.
    """
    if not all(callable(getattr(scorer, name, None)) for name in ("score", "warm_up")):
        raise InvalidRequestError(
            f"scorer must have the methods of resift.scoring.scorer.Scorer, not {scorer!r}"
        )
    if options != LoadOptions(on_timing=options.on_timing):
        raise InvalidRequestError(
            "give either a ready scorer= or model= and the options of loading one, not both: got a "
            f"scorer and {options!r}"
        )
