"""What one ranking spends where, seen from outside the library."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any


class Meter:
    """What one ranking spent where, in seconds and tokens."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Before each ranking."""
        self.tokenize = self.infer = 0.0
        self.tokens = self.padded_tokens = 0

    def timed(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, its time added to ``phase``."""

        @functools.wraps(function)
        def call(*arguments: Any, **keywords: Any) -> Any:
            start = time.perf_counter()
            result = function(*arguments, **keywords)
            setattr(self, phase, getattr(self, phase) + time.perf_counter() - start)
            return result

        return call

    def model(self, function: Callable[..., Any], mask: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, timed as inference; ``mask`` finds the attention mask in what it gets."""
        timed = self.timed("infer", function)

        def call(*arguments: Any, **keywords: Any) -> Any:
            given = mask(*arguments, **keywords)
            self.tokens += int(given.sum())
            self.padded_tokens += given.shape[0] * given.shape[1]
            return timed(*arguments, **keywords)

        return call


class Proxy:
    """An object with one method replaced, for classes whose instances can't be changed."""

    def __init__(self, target: Any, **methods: Callable[..., Any]) -> None:
        self._target = target
        vars(self).update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)
