"""Configurations of several models, and what is loaded of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from resift import Reranker
from resift.server.models import Models

QUERY = "how do I sort a dictionary by value"
DOCUMENTS = [
    "Bread rises because yeast turns sugar into carbon dioxide.",
    "Use sorted with a key function to sort a dictionary by value.",
    "The museum is closed on Mondays.",
    "A list can be sorted in place with its sort method.",
]
TWO = """
[models.small]
model = "resift-small"
aliases = ["rerank-v3.5", "BAAI/bge-reranker-v2-m3"]
default = true
[models.nano]
model = "resift-nano"
"""
SHORT = "[server]\nmemory_mb = 1\n"
Make = Callable[[str], Models]


def loaded(models: Models) -> set[str]:
    return {each.name for each in models.all if each.loaded}


def logits(reranker: Reranker, **options: Any) -> list[float | None]:
    return [each.logit for each in reranker.rank(QUERY, DOCUMENTS, **options)]
