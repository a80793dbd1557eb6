"""Why something was left out, in the report's words: no run ends for it."""

from __future__ import annotations

import re
import signal

# The folders of a path or an address: nobody else's.
_FOLDERS = re.compile(r"(?<![\w.])(?:\w+://|[A-Za-z]:\\|[/~])(?:[^\s/\\'\":,;]+[/\\])*(?=[^\s/\\])")


class UnavailableError(Exception):
    """Something that can't be done on this machine, and why."""


def in_short(text: str) -> str:
    """The first sentence, the rest being advice, without this machine's folders."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # OpenVINO names all the places that an error passed before the error.
    found = [line for line in lines if not line.endswith(":")] or lines or ["no reason was given"]
    return without_folders(found[0].split(". ")[0])


def without_folders(text: str) -> str:
    """``text`` with the last parts alone of the paths in it."""
    return _FOLDERS.sub("", text)


def ended(status: int) -> str:
    """How a process ended that should not have."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"
