"""Five rows of datasets for tests as an Arrow table, and what the engine makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from resift import Reranker

TEXTS = [["bad", "good", None], [], None, ["a"], ["b", "good"]]
QUERIES = ["a", "b", "a", " ", "a"]


def table(documents: Any = None, **more: Any) -> Any:
    """Five rows, of which the third and fourth can't be ranked."""
    given = pa.array(TEXTS, pa.list_(pa.string())) if documents is None else documents
    return pa.table({"query": QUERIES, "documents": given, **more})


def expected(tiny: Path, **options: Any) -> list[Any]:
    """The engine's rankings of the other three."""
    reranker = Reranker(tiny)
    good = [(QUERIES[at], TEXTS[at]) for at in (0, 1, 4)]
    return [
        [
            {"index": each.index, "score": each.score, "logit": each.logit}
            for each in reranker.rank(query, documents or [], **options)
        ]
        for query, documents in good
    ]
