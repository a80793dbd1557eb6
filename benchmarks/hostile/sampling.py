"""How many threads of a process want a processor at the same time, seen from outside it.

    python sampling.py PID

Counts from the first line on standard input to the next, then writes the counts as JSON.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

_INTERVAL = 0.005


class Sampler:
    """A process that counts this one's threads; where it is started, limits don't hold yet."""

    def __init__(self) -> None:
        command = [sys.executable, __file__, str(os.getpid())]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )

    def start(self) -> None:
        """Begin to count."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def counts(self) -> list[int]:
        """End it; the counts, one for each 5 ms in which any thread wanted a processor."""
        out, _ = self._process.communicate("\n")
        counts: list[int] = json.loads(out)
        return counts


def main(process: str) -> None:
    """Count."""
    sys.stdin.readline()
    counts = []
    while not select.select([sys.stdin], [], [], 0)[0]:
        counts.append(running(process))
        time.sleep(_INTERVAL)
    sys.stdout.write(json.dumps([count for count in counts if count]) + "\n")


def running(process: str) -> int:
    """Number of threads that run, or would if they got a processor."""
    count = 0
    for path in Path(f"/proc/{process}/task").glob("*/stat"):
        try:
            text = path.read_text(encoding="utf-8")
        except OSError:  # It has ended meanwhile.
            continue
        # The second field is a name in brackets, the third is the state.
        count += text.rpartition(")")[2].split()[0] == "R"
    return count


if __name__ == "__main__":
    main(sys.argv[1])
