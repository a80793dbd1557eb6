"""LangChain's compressors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from callers.asked import Asked, Found
from langchain_core.documents import BaseDocumentCompressor, Document


def cohere(asked: Asked) -> Found:
    """``langchain-cohere``."""
    from langchain_cohere import CohereRerank

    return _compress(
        asked,
        CohereRerank(
            cohere_api_key=asked.key,
            base_url=asked.url,
            model="rerank-v3.5",
            top_n=asked.top_n,
        ),
    )


def infinity(asked: Asked) -> Found:
    """``InfinityRerank`` of ``langchain-community``, which cuts the answer itself."""
    from infinity_client import Client
    from langchain_community.document_compressors import InfinityRerank

    # It takes no AuthenticatedClient.
    headers = {"Authorization": f"Bearer {asked.key}"}
    client: Any = Client(base_url=asked.url, headers=headers)
    return _compress(asked, InfinityRerank(client=client, model="any", top_n=asked.most))


def jina(asked: Asked) -> Found:
    """``JinaRerank`` of ``langchain-community``, whose address is a constant of its module."""
    from langchain_community.document_compressors import JinaRerank, jina_rerank

    jina_rerank.JINA_API_URL = f"{asked.url}/v1/rerank"
    return _compress(asked, JinaRerank(jina_api_key=asked.key, top_n=asked.top_n))


def _compress(asked: Asked, compressor: BaseDocumentCompressor) -> Found:
    documents = [
        Document(page_content=text, metadata={"place": place})
        for place, text in enumerate(asked.documents)
    ]
    kept: Sequence[Document] = compressor.compress_documents(documents, asked.query)
    return [(x.metadata["place"], x.metadata["relevance_score"], x.page_content) for x in kept]
