"""Checks of single options: each passes a value or raises ``InvalidRequestError`` naming it."""

from __future__ import annotations

import math
import re
from numbers import Integral, Real

from resift.errors import InvalidRequestError

COMMIT = re.compile(r"[0-9a-f]{40}")
"""A full commit hash, which always names the same files."""

_TOKEN = re.compile(r"[!-~]+")


def check_token(given: object) -> None:
    """Pass ``None`` and strings that can be sent in a header; the message doesn't show others.

    Raises ``InvalidRequestError``.
    """
    # The HTTP client would refuse anything else with an error that shows the whole header.
    if given is not None and not (isinstance(given, str) and _TOKEN.fullmatch(given)):
        raise InvalidRequestError(
            "token must be a non-empty str of visible ASCII characters without spaces, a function "
            f"that gives one, or None; not this {type(given).__name__}, which isn't shown"
        )


def check_positive_int(name: str, given: object, otherwise: str) -> None:
    """Pass ``None`` and integers from 1; ``otherwise`` tells the message what ``None`` means.

    Raises ``InvalidRequestError``.
    """
    is_integer = isinstance(given, Integral) and not isinstance(given, bool)
    if given is not None and not (is_integer and given >= 1):  # type: ignore[operator]
        raise InvalidRequestError(f"{name} must be an int of at least 1, or {otherwise}: {given!r}")


def check_score_threshold(given: object) -> None:
    """Pass ``None`` and finite numbers. Raises ``InvalidRequestError``."""
    is_number = isinstance(given, Real) and not isinstance(given, bool)
    if given is not None and not (is_number and math.isfinite(given)):  # type: ignore[arg-type]
        raise InvalidRequestError(
            f"score_threshold must be a finite number, or None to keep all documents: {given!r}"
        )


def check_choice(name: str, given: object, choices: tuple[str, ...]) -> None:
    """Pass one of ``choices``. Raises ``InvalidRequestError``."""
    if not isinstance(given, str) or given not in choices:
        raise InvalidRequestError(f"{name} must be one of {list(choices)}, not {given!r}")


def check_devices(given: object, device: str | None) -> None:
    """Pass a list or tuple of names without a ``device``. Raises ``InvalidRequestError``."""
    names = given if isinstance(given, (list, tuple)) else ()
    if device is not None or not names or not all(isinstance(x, str) and x for x in names):
        raise InvalidRequestError(
            "devices must be a list of names such as ['cuda:0', 'cuda:1'], and device must then "
            f"be left out: devices={given!r}, device={device!r}"
        )


def check_text(name: str, given: object) -> None:
    """Pass ``None`` and non-empty strings. Raises ``InvalidRequestError``."""
    if given is not None and not (isinstance(given, str) and given):
        raise InvalidRequestError(f"{name} must be a non-empty str, or None: {given!r}")
