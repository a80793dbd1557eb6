"""Sections and tables of the pages."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def section(title: str, text: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with its title and what it shows; nothing without rows."""
    return f"## {title}\n\n{text}\n\n{table(head, rows)}" if rows else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: str = "---") -> str:
    """A Markdown table; ``numbers`` is the rule below all columns but the first."""
    lines = [head, ["---", *(numbers for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def failed(reasons: Iterable[tuple[str, str]]) -> str:
    """What couldn't be measured, and why; nothing where all was."""
    lines = [f"- {name}: {why}" for name, why in reasons]
    return "\n".join(["## Failed", "", *lines]) if lines else ""


def median(values: Iterable[float]) -> float:
    """The median; NaN without values."""
    return statistics.median(list(values) or [math.nan])


def ms(seconds: float) -> str:
    """Milliseconds with one digit; a dash for NaN."""
    return "–" if math.isnan(seconds) else f"{seconds * 1000:.1f}"


def errors(runs: Iterable[Mapping[str, Any]]) -> str:
    """The number of errors in all runs."""
    return str(sum(len(run["errors"]) for run in runs))
