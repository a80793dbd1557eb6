"""The check of a ready scorer, given in place of a model."""

from __future__ import annotations

from resift.errors import InvalidRequestError
from resift.options import LoadOptions


def check_scorer(scorer: object, options: LoadOptions) -> None:
    """Pass a scorer that comes without options of loading a model.

    Raises ``InvalidRequestError`` for an object without a scorer's methods, and for ``options``
    other than the defaults, except ``on_timing``.
    """
    check_is_scorer("scorer", scorer)
    if options != LoadOptions(on_timing=options.on_timing):
        raise InvalidRequestError(
            "give either a ready scorer= or model= and the options of loading one, not both: got a "
            f"scorer and {options!r}"
        )


def check_is_scorer(name: str, given: object) -> None:
    """Pass an object with a scorer's methods. Raises ``InvalidRequestError`` for any other."""
    methods = (getattr(given, each, None) for each in ("score", "warm_up"))
    # A class has them too, but it isn't a scorer.
    if isinstance(given, type) or not all(map(callable, methods)):
        raise InvalidRequestError(
            f"{name} must have the methods of resift.scoring.Scorer, not {given!r}"
        )
