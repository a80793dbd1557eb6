"""Texts without their secrets, for messages and logs."""

from __future__ import annotations

import re


def shown(text: object) -> str:
    """``text`` with credentials and query strings removed from any URL in it."""
    return re.sub(r"(https?://)([^\s/@'\"]*@)?([^\s?#'\"]*)[^\s'\"]*", r"\1\3", str(text))
