"""Output and exit statuses of the commands."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

EXIT_OK, EXIT_NOTHING_KEPT, EXIT_USAGE, EXIT_FAILED = 0, 1, 2, 3
EXIT_DIFFERS = 1


@contextmanager
def escaping() -> Iterator[None]:
    r"""Write characters that standard output can't encode as escapes, such as ``\xf6``."""
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
    """``content`` as lines of JSON, escaped where the encoding of ``out`` isn't a Unicode one."""
    is_unicode = (getattr(out, "encoding", None) or "utf-8").lower().startswith("utf")
    return json.dumps(content, ensure_ascii=not is_unicode, indent=2) + "\n"
