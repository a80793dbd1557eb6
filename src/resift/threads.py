"""Threads for asynchronous calls, apart from those of the program."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from resift.once import Once

P = ParamSpec("P")
T = TypeVar("T")

# Nearly all of them wait for the queue of passes, so there may be many; they are started as needed.
_MOST = 1000


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a thread, with the context variables of the caller.

    As ``asyncio.to_thread``, whose threads are few and are the program's: there, calls that wait
    for a model would keep lookups of host names and the program's own calls waiting.
    """
    call = partial(copy_context().run, partial(function, *args, **kwargs))
    return await asyncio.wrap_future(_threads.get().submit(call))


class _Threads:
    """Starts threads in a thread: starting one waits for it, which would hold the event loop.

    Where one of those that were started has nothing to do, it gets the call at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given = self._most_given = 0
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._pool = ThreadPoolExecutor(_MOST, thread_name_prefix="resift-call")
        threading.Thread(target=self._hand_on, name="resift-calls", daemon=True).start()

    def submit(self, call: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        with self._lock:
            is_one_free = self._given < self._most_given
            self._given += 1
            self._most_given = max(self._given, self._most_given)
        if is_one_free:
            self._pool.submit(self._run, future, call)
        else:
            self._calls.put((future, call))
        return future

    def _hand_on(self) -> None:
        while True:
            found = self._calls.get()
            try:
                self._pool.submit(self._run, *found)
            # The interpreter is ending.
            except RuntimeError as error:
                found[0].set_exception(error)

    def _run(self, future: Future[Any], call: Callable[[], Any]) -> None:
        try:
            _run(future, call)
        finally:
            with self._lock:
                self._given -= 1


def _run(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    # Raised where it is awaited.
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


_threads = Once(_Threads)
