"""Cohere's own SDK, of any version."""

from __future__ import annotations

import asyncio
from typing import Any

import cohere
from callers.asked import Asked, Found


def v1(asked: Asked) -> Found:
    """Version 1 leaves out what isn't given."""
    given: dict[str, Any] = {} if asked.top_n is None else {"top_n": asked.top_n}
    if asked.return_documents:
        given["return_documents"] = True
    client = cohere.Client(api_key=asked.key, base_url=asked.url)
    answer = client.rerank(
        model="rerank-v3.5", query=asked.query, documents=asked.documents, **given
    )
    return [(x.index, x.relevance_score, x.document and x.document.text) for x in answer.results]


def v1_objects(asked: Asked) -> Found:
    """Documents as objects, whose fields make their texts."""
    client = cohere.Client(api_key=asked.key, base_url=asked.url)
    answer = client.rerank(
        query=asked.query,
        documents=[{"body": text, "number": "7"} for text in asked.documents],
        rank_fields=["body"],
        top_n=asked.most,
        return_documents=asked.return_documents,
    )
    return [
        (x.index, x.relevance_score, x.document and x.document.model_dump()["body"])
        for x in answer.results
    ]


def v2(asked: Asked) -> Found:
    """Version 2 sends ``null`` for ``None``."""
    client = cohere.ClientV2(api_key=asked.key, base_url=asked.url)
    answer = client.rerank(
        model="rerank-v3.5",
        query=asked.query,
        documents=asked.documents,
        top_n=asked.top_n,
        max_tokens_per_doc=None,
    )
    return [(each.index, each.relevance_score, None) for each in answer.results]


def v2_async(asked: Asked) -> Found:
    """The same, asynchronously."""

    async def rerank() -> Found:
        client = cohere.AsyncClientV2(api_key=asked.key, base_url=asked.url)
        answer = await client.rerank(
            model="rerank-v3.5", query=asked.query, documents=asked.documents, top_n=asked.most
        )
        return [(each.index, each.relevance_score, None) for each in answer.results]

    return asyncio.run(rerank())
