"""Haystack's rankers."""

from __future__ import annotations

from typing import Any

from callers.asked import Asked, Found
from haystack import Document
from haystack.utils import Secret


def cohere(asked: Asked) -> Found:
    """``CohereRanker``, which always says how many tokens of a document count."""
    from haystack_integrations.components.rankers.cohere import CohereRanker

    ranker = CohereRanker(
        api_key=Secret.from_token(asked.key), api_base_url=asked.url, top_k=asked.most
    )
    return _run(asked, ranker)


def jina(asked: Asked) -> Found:
    """``JinaRanker``, which looks at no status."""
    from haystack_integrations.components.rankers.jina import JinaRanker

    ranker = JinaRanker(
        api_key=Secret.from_token(asked.key),
        base_url=f"{asked.url}/v1/rerank",
        top_k=asked.top_n,
    )
    return _run(asked, ranker)


def tei(asked: Asked) -> Found:
    """``HuggingFaceTEIRanker``, which cuts the answer itself."""
    return _run(asked, _tei(asked))


def tei_cut_left(asked: Asked) -> Found:
    """The same, which asks for the beginnings of long texts to be cut off."""
    from haystack_integrations.components.rankers.huggingface_api import TruncationDirection

    return _run(asked, _tei(asked), truncation_direction=TruncationDirection.LEFT)


def tei_raw(asked: Asked) -> Found:
    """The same, for logits."""
    return _run(asked, _tei(asked, raw_scores=True))


def _tei(asked: Asked, **options: Any) -> Any:
    from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker

    return HuggingFaceTEIRanker(
        url=asked.url, token=Secret.from_token(asked.key), top_k=asked.most, **options
    )


def _run(asked: Asked, ranker: Any, **options: Any) -> Found:
    documents = [Document(id=str(n), content=text) for n, text in enumerate(asked.documents)]
    kept = ranker.run(query=asked.query, documents=documents, **options)["documents"]
    return [(int(each.id), each.score, each.content) for each in kept]
