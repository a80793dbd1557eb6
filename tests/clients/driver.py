"""Calls clients for the tests, as a process of an environment that has them.

Reads jobs from standard input, an object of JSON a line, and answers each with a line: what the
client found, or the error that it raised. What clients print goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from typing import Any

from callers.asked import Asked


def main() -> None:
    """Answer until the input ends."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:
            answers.write(json.dumps(_outcome(json.loads(line))) + "\n")
            answers.flush()


def _outcome(job: dict[str, Any]) -> dict[str, Any]:
    module, _, name = job.pop("client").partition(".")
    call = getattr(import_module(f"callers.{module}"), name)
    began = time.monotonic()
    said: dict[str, Any]
    try:
        said = {"found": call(Asked(**job))}
    # Whatever a client raises is what the test is about.
    except Exception as error:
        said = {"error": type(error).__name__, "message": str(error)}
    return {**said, "seconds": time.monotonic() - began}


if __name__ == "__main__":
    main()
