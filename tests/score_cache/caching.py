"""Texts, places and views of rankings for tests of the cache of scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import rankings

from resift import Ranking
from resift.text.batch import Batch

TEXTS = ["good", "w3 w4", "bad", "b a w9", "w1"]
Place = Callable[[Path], dict[str, Any]]
"""Gives the options of a cache that is kept there."""

MAKERS: list[Place] = [lambda _: {}, lambda path: {"folder": path}]
stores = pytest.mark.parametrize("place", MAKERS, ids=["memory", "disk"])


def facts(ranking: Ranking) -> list[tuple[Any, ...]]:
    """All that a cache may not change."""
    return [*rankings.facts(ranking), (ranking.query_truncated, ranking.counts.truncated_documents)]


def pairs(forwarded: Sequence[Batch]) -> int:
    return sum(len(batch.input_ids) for batch in forwarded)


def on_file(folder: Path) -> Path:
    (found,) = folder.glob("*.sqlite3")
    return found
