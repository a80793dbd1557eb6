"""Signatures, as ``inspect.signature`` shows them, with keywords that are declared elsewhere."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_type_hints

_Function = TypeVar("_Function", bound=Callable[..., Any])


def shows(keywords: type, defaults: Mapping[str, Any]) -> Callable[[_Function], _Function]:
    """Make a function's signature show the keywords of a ``TypedDict``, not ``**options``.

    ``defaults`` has their defaults. Keywords that the function itself names stay as they are.
    """

    def show(function: _Function) -> _Function:
        hints = get_type_hints(keywords)
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        rest = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[name]
            )
            for name, default in defaults.items()
            if name in hints and name not in signature.parameters
        ]
        function.__signature__ = signature.replace(parameters=[*own, *rest])  # type: ignore[attr-defined]
        return function

    return show
