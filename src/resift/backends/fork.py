"""Keep objects that own threads alive in forked children."""

from __future__ import annotations

import ctypes
import os
from typing import Any
from weakref import WeakSet

_kept: WeakSet[Any] = WeakSet()


def keep_after_fork(owner: Any) -> None:
    """Keep ``owner`` from being freed in any child that is forked from now on.

    Its threads stay in the parent. Freed in the child, if only at the interpreter's exit, it would
    wait forever for threads that don't exist there.
    """
    _kept.add(owner)


def _keep() -> None:
    for owner in _kept:
        # Leak one reference on purpose.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(owner))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep)
