"""What commands write, and the statuses that they end with."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

EXIT_OK, EXIT_NOTHING_KEPT, EXIT_USAGE, EXIT_FAILED = 0, 1, 2, 3


@contextmanager
def escaping() -> Iterator[None]:
    r"""Write what standard output's encoding doesn't have as escapes, such as ``\xf6``."""
    out = sys.stdout
    if not isinstance(out, io.TextIOWrapper):
        yield
        return
    errors = out.errors
    out.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        out.reconfigure(errors=errors)


def to_json(content: object, out: IO[str]) -> str:
    """Lines of JSON, escaped where ``out`` isn't in Unicode: other escapes aren't JSON."""
    is_unicode = (getattr(out, "encoding", None) or "utf-8").lower().startswith("utf")
    return json.dumps(content, ensure_ascii=not is_unicode, indent=2) + "\n"
