"""Voyage's own SDK."""

from __future__ import annotations

import voyageai
from callers.asked import Asked, Found


def rerank(asked: Asked) -> Found:
    """Voyage's client fills in the documents itself."""
    client = voyageai.Client(api_key=asked.key, base_url=f"{asked.url}/v1")
    answer = client.rerank(asked.query, asked.documents, model="rerank-2.5", top_k=asked.top_n)
    assert answer.total_tokens > 0
    return [(each.index, each.relevance_score, each.document) for each in answer.results]
