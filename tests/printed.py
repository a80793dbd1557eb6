"""The output that a page or an example promises, against what it printed."""

from __future__ import annotations

import doctest
import re

# Scores of the bundled model: int8 rounds differently with each release of ONNX Runtime, and not
# at all on a processor without it.
SCORE = re.compile(r"-?\d+\.\d+")
TOLERANCE = 0.05


def as_written(wanted: str, printed: str) -> str:
    """``printed``, with the scores of ``wanted`` where they are near enough."""
    scores = [float(found) for found in SCORE.findall(wanted)]

    def nearest(match: re.Match[str]) -> str:
        found = match.group()
        near = min(scores, key=lambda score: abs(score - float(found)), default=float("nan"))
        digits = len(found.partition(".")[2])
        return f"{near:.{digits}f}" if abs(near - float(found)) <= TOLERANCE else found

    return SCORE.sub(nearest, printed)


def is_printed(wanted: str, printed: str) -> bool:
    """Whether that was printed; in what is wanted, ``...`` stands for anything."""
    checker = doctest.OutputChecker()
    return checker.check_output(wanted, as_written(wanted, printed), doctest.ELLIPSIS)
