"""What was measured so far, in a file that is complete after each measurement; and time left."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reasons import UnavailableError

_SAME = ("device", "versions")
"""Facts that all cells of a file share."""


class Results:
    """Cells by name, on one device, with one set of packages.

    Goes on with what ``path`` has. Raises ``UnavailableError`` where that is of another device or
    of other packages, as figures of two are nothing to compare.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self._path = path
        found: dict[str, Any] = {}
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
        for name in _SAME:
            if name in found and found[name] != facts[name]:
                raise UnavailableError(
                    f"{path.name} has results of another {name}: {found[name]}, and here is "
                    f"{facts[name]}; expected the same, another --out, or --fresh"
                )
        self.content: dict[str, Any] = {"cells": {}, "runs": []} | found | dict(facts)
        self.content["left_out"] = {}

    @property
    def cells(self) -> dict[str, Any]:
        """All cells that were measured."""
        cells: dict[str, Any] = self.content["cells"]
        return cells

    def began(self, run: Mapping[str, Any]) -> None:
        """Note the command that measures from now on, and when."""
        self.content["runs"].append(dict(run))
        self._write()

    def put(self, name: str, cell: Mapping[str, Any]) -> None:
        """Add a cell."""
        self.cells[name] = dict(cell)
        self._write()

    def leave_out(self, name: str, reason: str) -> None:
        """Note what wasn't measured, and why."""
        self.content["left_out"][name] = reason
        self._write()

    def _write(self) -> None:
        # Whoever stops the run finds the old file or the new one, and never a part.
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".json.part")
        beside.write_text(json.dumps(self.content, indent=1) + "\n", encoding="utf-8")
        beside.replace(self._path)


class Budget:
    """The time that a run has, in seconds on a clock; ``None`` is as long as it takes."""

    def __init__(self, minutes: float | None, clock: Callable[[], float]) -> None:
        self._end = math.inf if minutes is None else clock() + 60 * minutes
        self.clock = clock

    def until(self, seconds: float) -> float:
        """The time on the clock in so many seconds, or the end where that is earlier."""
        return min(self._end, self.clock() + seconds)

    @property
    def left(self) -> float:
        """Seconds that are left, from 0."""
        return max(0.0, self._end - self.clock())

    def lacks(self, seconds: float) -> str | None:
        """Why something that takes so long doesn't fit any more; ``None`` where it does."""
        if seconds <= self.left:
            return None
        return f"some {seconds:.0f} s were needed, and {self.left:.0f} s of --minutes were left"
