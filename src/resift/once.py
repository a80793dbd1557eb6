"""Values that are made once in a process, however many threads need them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """A value that ``make`` returns: called at the first ``get``, and never again in this process.

    A child of ``fork`` makes its own: the parent's threads, which the old value may need, don't
    exist there, and one of them may have held the lock. If ``make`` raises, so does ``get``, and
    the next ``get`` tries again.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._state: _State[T] = _State()

    @property
    def is_made(self) -> bool:
        """Whether the value exists, so that ``get`` returns at once."""
        return bool(self._current().made)

    def get(self) -> T:
        """Return the value; other threads wait for the one that makes it."""
        state = self._current()
        if not state.made:
            with state.lock:
                # Another thread may have made it while this one waited.
                if not state.made:
                    state.made.append(self._make())
        return state.made[0]

    def _current(self) -> _State[T]:
        if self._state.pid != os.getpid():
            self._state = _State()
        return self._state


class _State(Generic[T]):
    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.made: list[T] = []
        """Empty, or the value alone."""
