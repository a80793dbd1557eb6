"""LlamaIndex's postprocessors."""

from __future__ import annotations

from callers.asked import Asked, Found
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode


def cohere(asked: Asked) -> Found:
    """``CohereRerank``; it tries again ten times after a 503."""
    from llama_index.postprocessor.cohere_rerank import CohereRerank

    return _postprocess(
        asked, CohereRerank(api_key=asked.key, base_url=asked.url, top_n=asked.most)
    )


def jina(asked: Asked) -> Found:
    """``JinaRerank``; it looks at no status."""
    from llama_index.postprocessor.jinaai_rerank import JinaRerank

    return _postprocess(
        asked, JinaRerank(api_key=asked.key, base_url=f"{asked.url}/v1", top_n=asked.most)
    )


def tei(asked: Asked) -> Found:
    """``TextEmbeddingInference``; it asserts an entry for each node, and cuts them itself."""
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

    token = f"Bearer {asked.key}"
    return _postprocess(
        asked, TextEmbeddingInference(base_url=asked.url, auth_token=token, top_n=asked.most)
    )


def _postprocess(asked: Asked, postprocessor: BaseNodePostprocessor) -> Found:
    nodes = [
        NodeWithScore(node=TextNode(text=text, id_=str(place)), score=0.5)
        for place, text in enumerate(asked.documents)
    ]
    kept = postprocessor.postprocess_nodes(nodes, QueryBundle(asked.query))
    return [
        (int(x.node.node_id), x.get_score(raise_error=True), x.node.get_content()) for x in kept
    ]
