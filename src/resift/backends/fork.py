"""What has threads of its own can't be freed in a child of ``fork``."""

from __future__ import annotations

import ctypes
import os
from typing import Any
from weakref import WeakSet

_kept: WeakSet[Any] = WeakSet()


def keep_after_fork(owner: Any) -> None:
    """Never free ``owner`` in a child of a fork that is still to come.

    Its threads stay in the parent. Freed in the child, if only by the interpreter's exit, it would
    join threads that aren't there, and wait for ever.
    """
    _kept.add(owner)


def _keep() -> None:
    for owner in _kept:
        # One reference too many.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(owner))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep)
