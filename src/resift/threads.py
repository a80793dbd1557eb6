"""Threads for asynchronous calls, apart from those of the program."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from resift.once import Once

P = ParamSpec("P")
T = TypeVar("T")

# Nearly all of them wait for the queue of passes, so there may be many; they are started as needed.
_MOST = 1000

_executor = Once(lambda: ThreadPoolExecutor(_MOST, thread_name_prefix="resift-call"))


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a thread, with the context variables of the caller.

    As ``asyncio.to_thread``, whose threads are few and are the program's: there, calls that wait
    for a model would keep lookups of host names and the program's own calls waiting.
    """
    call = partial(copy_context().run, partial(function, *args, **kwargs))
    return await asyncio.get_running_loop().run_in_executor(_executor.get(), call)
