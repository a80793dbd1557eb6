"""Skips tests for what isn't installed, without importing it."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


def require(*modules: str) -> None:
    """Skip unless they can be imported. A backend imports its own: OpenVINO reports its imports."""
    for module in modules:
        if find_spec(module) is None:
            pytest.skip(f"could not import {module!r}: it isn't installed")
