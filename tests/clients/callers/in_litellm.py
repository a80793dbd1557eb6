"""LiteLLM's SDK, as each of the providers whose address can be set."""

from __future__ import annotations

from functools import partial

import litellm
from callers.asked import Asked, Found

# For its prices it looks for the length of each of Hugging Face's models on the Hub.
litellm.utils._get_max_position_embeddings = lambda model_name: None


def _rerank(provider: str, path: str, asked: Asked) -> Found:
    answer = litellm.rerank(
        model=f"{provider}/any",
        query=asked.query,
        documents=asked.documents,
        top_n=asked.top_n,
        return_documents=asked.return_documents,
        api_key=asked.key,
        api_base=f"{asked.url}{path}",
    )
    return [
        (each["index"], each["relevance_score"], (each.get("document") or {}).get("text"))
        for each in answer.results
    ]


cohere = partial(_rerank, "cohere", "")
hosted_vllm = partial(_rerank, "hosted_vllm", "")
infinity = partial(_rerank, "infinity", "/infinity")
huggingface = partial(_rerank, "huggingface", "")
jina_ai = partial(_rerank, "jina_ai", "")
voyage = partial(_rerank, "voyage", "/v1")
