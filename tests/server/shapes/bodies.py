"""A query and documents, as clients send them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

QUERY = "how do I sort a dictionary by value"
TEXTS = [
    "Bread rises because yeast turns sugar into carbon dioxide.",
    "Use sorted with a key function to sort a dictionary by value.",
    "The museum is closed on Mondays.",
    "",
    "Ein Wörterbuch 📖 sortieren: 字典。",
    "Use sorted with a key function to sort a dictionary by value.",
]
Scores = list[tuple[int, float]]


def results(answer: Mapping[str, Any]) -> Scores:
    return [(each["index"], each["relevance_score"]) for each in answer["results"]]


DOCUMENTS = {"query": QUERY, "documents": TEXTS}
