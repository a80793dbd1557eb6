"""Rankings of texts that are numbers, and such texts."""

from __future__ import annotations

from typing import Any

from resift import Ranking, Reranker
from resift.scoring import Scorer

TEXTS = ["9", "1", "5", "4", "7", "3", "2"]


def rank(scorer: Scorer, texts: list[str], **options: Any) -> Ranking:
    return Reranker(scorer=scorer, normalization="none").rank("q", texts, **options)
