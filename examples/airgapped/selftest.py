"""Fail where the bundled models can't rank, open a connection, or write a file.

    python selftest.py

ranks three sentences with each bundled model, and prints a line for each:

    resift-small on onnx: complete
    resift-nano on onnx: complete
"""

from __future__ import annotations

import os
import sys
from typing import Any

from resift import Reranker

QUERY = "how do I sort a dictionary by value"
DOCUMENTS = [
    "The museum is closed on Mondays.",
    "Use sorted with a key function to sort a dictionary by value.",
    "Bread rises because yeast turns sugar into carbon dioxide.",
]
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """End the process where something connects, or opens a file to write to it."""
    connects = event in ("socket.connect", "socket.getaddrinfo")
    writes = event == "open" and arguments[2] & WRITING and arguments[0] != os.devnull
    if connects or writes:
        sys.stderr.write(f"refused: {event} {arguments}\n")
        os._exit(1)


def main() -> int:
    """Rank with each model; 1 where one doesn't do what it was made for."""
    sys.addaudithook(refuse)
    failed = 0
    for model in ("resift-small", "resift-nano"):
        # Loading compares the model's logits with those that its author measured.
        ranking = Reranker(model, offline=True).rank(QUERY, DOCUMENTS)
        print(f"{model} on {ranking.backend}: {ranking.status}")
        failed |= ranking.status != "complete" or ranking[0].index != 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
