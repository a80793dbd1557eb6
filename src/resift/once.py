"""Values that are made once in a process, however many threads need them."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
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

    def get_within(self, seconds: float) -> T | None:
        """Return the value, or ``None`` if it takes longer; it is then made on, for later calls."""
        if self.is_made or math.isinf(seconds):
            return self.get()
        made: Future[T] = Future()
        threading.Thread(target=self._make_for, args=(made,), daemon=True).start()
        try:
            return made.result(timeout=max(0.0, seconds))
        except TimeoutError:
            if made.done():
                # What was raised, and not the wait.
                raise
            return None

    def _make_for(self, made: Future[T]) -> None:
        try:
            made.set_result(self.get())
        # Raised where it is waited for; the next call tries again.
        except BaseException as error:
            made.set_exception(error)

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
