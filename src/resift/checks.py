"""Checks of single options: each returns the value or raises ``InvalidRequestError`` naming it."""

from __future__ import annotations

import math
import os
import re
from numbers import Integral, Real
from typing import Any

from resift.errors import InvalidRequestError

COMMIT = re.compile(r"[0-9a-f]{40}")
"""A full commit hash, which always names the same files."""

_TOKEN = re.compile(r"[!-~]+")


def check_token(name: str, given: Any) -> Any:
    """Pass ``None`` and strings that can be sent in a header; the message shows no others."""
    # The HTTP client would refuse anything else with an error that shows the whole header.
    if given is not None and not (isinstance(given, str) and _TOKEN.fullmatch(given)):
        raise InvalidRequestError(
            f"{name} must be a non-empty str of visible ASCII characters without spaces, a "
            f"function that gives one, or None; not this {type(given).__name__}, which isn't shown"
        )
    return given


def check_token_source(name: str, given: Any) -> Any:
    """Pass a token, and a function that returns one."""
    return given if callable(given) else check_token(name, given)


def check_positive_int(name: str, given: Any, otherwise: str) -> int | None:
    """Pass ``None`` and integers from 1, as an ``int``; the message says what ``None`` means."""
    if given is None:
        return None
    if not isinstance(given, Integral) or isinstance(given, bool) or given < 1:
        raise InvalidRequestError(f"{name} must be an int of at least 1, or {otherwise}: {given!r}")
    return int(given)


def check_positive(name: str, given: Any, otherwise: str) -> float | None:
    """Pass ``None`` and finite numbers above 0, as a ``float``."""
    if given is None:
        return None
    number = isinstance(given, Real) and not isinstance(given, bool)
    if not (number and math.isfinite(given) and given > 0):
        raise InvalidRequestError(
            f"{name} must be a finite number above 0, or {otherwise}: {given!r}"
        )
    return float(given)


def check_score_threshold(name: str, given: Any) -> float | None:
    """Pass ``None`` and finite numbers, as a ``float``."""
    if given is None:
        return None
    if not isinstance(given, Real) or isinstance(given, bool) or not math.isfinite(given):
        raise InvalidRequestError(
            f"{name} must be a finite number, or None to keep all documents: {given!r}"
        )
    return float(given)


def check_choice(name: str, given: Any, choices: tuple[str, ...], *, optional: bool = False) -> Any:
    """Pass one of ``choices``; where it is ``optional``, also ``None``."""
    if not (optional and given is None) and not (isinstance(given, str) and given in choices):
        raise InvalidRequestError(f"{name} must be one of {list(choices)}, not {given!r}")
    return given


def check_bool(name: str, given: Any, *, optional: bool = False) -> Any:
    """Pass a ``bool``; where it is ``optional``, also ``None``."""
    if not isinstance(given, bool) and not (optional and given is None):
        or_none = " or None" if optional else ""
        raise InvalidRequestError(f"{name} must be a bool{or_none}, not {given!r}")
    return given


def check_callable(name: str, given: Any) -> Any:
    """Pass ``None`` and callables."""
    if given is not None and not callable(given):
        raise InvalidRequestError(f"{name} must be callable or None: {given!r}")
    return given


def check_model(name: str, given: Any) -> Any:
    """Pass a name or a path that isn't empty."""
    if not isinstance(given, (str, os.PathLike)) or not os.fspath(given):
        raise InvalidRequestError(f"{name} must be a name or a path, not {given!r}")
    return given


def check_path(name: str, given: Any) -> Any:
    """Pass ``None``, strings and paths."""
    if given is not None and not isinstance(given, (str, os.PathLike)):
        raise InvalidRequestError(f"{name} must be a path or None, not {given!r}")
    return given


def check_str(name: str, given: Any) -> Any:
    """Pass strings."""
    if not isinstance(given, str):
        raise InvalidRequestError(f"{name} must be a str, not {given!r}")
    return given


def check_text(name: str, given: Any) -> Any:
    """Pass ``None`` and non-empty strings."""
    if given is not None and not (isinstance(given, str) and given):
        raise InvalidRequestError(f"{name} must be a non-empty str, or None: {given!r}")
    return given


def check_devices(name: str, given: Any) -> list[str] | None:
    """Pass ``None`` and a list or tuple of names, as a list."""
    if given is None:
        return None
    names = given if isinstance(given, (list, tuple)) else ()
    if not names or not all(isinstance(each, str) and each for each in names):
        raise InvalidRequestError(
            f"{name} must be a list of names such as ['cuda:0', 'cuda:1'], and device must then "
            f"be left out: {name}={given!r}"
        )
    return list(names)
