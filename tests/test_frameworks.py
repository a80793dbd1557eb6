"""The same documents through all three frameworks: one order, one set of scores."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from haystack import Document as HaystackDocument
from haystack_integrations.components.rankers.resift import ResiftRanker
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document as LangChainDocument
from langchain_resift import ResiftCrossEncoder, ResiftReranker
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.postprocessor.resift import ResiftRerank

from resift import InvalidRequestError, Reranker
from resift.testing import HOSTILE_TEXTS, QUERY, TEXTS, texts_strategy

Scores = list[tuple[int, float]]
Metadata = list[dict[str, Any]]

shared = Reranker()


def langchain(query: str, texts: list[str], metadata: Metadata, **options: Any) -> Scores:
    documents = [
        LangChainDocument(page_content=text, metadata={**extra, "position": position})
        for position, (text, extra) in enumerate(zip(texts, metadata, strict=True))
    ]
    reranker = ResiftReranker(**options)
    kept = reranker.compress_documents(documents, query)
    assert kept == asyncio.run(reranker.acompress_documents(documents, query))
    return [(d.metadata["position"], d.metadata["relevance_score"]) for d in kept]


def llama_index(query: str, texts: list[str], metadata: Metadata, **options: Any) -> Scores:
    nodes = [
        NodeWithScore(node=TextNode(text=text, metadata={**extra, "position": position}))
        for position, (text, extra) in enumerate(zip(texts, metadata, strict=True))
    ]
    rerank = ResiftRerank(**options)
    kept = rerank.postprocess_nodes(nodes, QueryBundle(query))
    assert kept == asyncio.run(rerank.apostprocess_nodes(nodes, QueryBundle(query)))
    return [(n.node.metadata["position"], n.get_score(raise_error=True)) for n in kept]


def haystack(query: str, texts: list[str], metadata: Metadata, **options: Any) -> Scores:
    documents = [
        HaystackDocument(content=text, meta={**extra, "position": position})
        for position, (text, extra) in enumerate(zip(texts, metadata, strict=True))
    ]
    ranker = ResiftRanker(**{"top_k" if k == "top_n" else k: v for k, v in options.items()})
    kept = ranker.run(query=query, documents=documents)["documents"]
    assert kept == asyncio.run(ranker.run_async(query=query, documents=documents))["documents"]
    return [(d.meta["position"], d.score if d.score is not None else -1.0) for d in kept]


FRAMEWORKS = [langchain, llama_index, haystack]


@settings(max_examples=15, deadline=None)
@given(texts=texts_strategy, top_n=st.none() | st.integers(1, 15))
def test_one_order_and_one_set_of_scores(texts: list[str], top_n: int | None) -> None:
    metadata: Metadata = [{} for _ in texts]
    expected = [(r.index, r.score) for r in shared.rank(QUERY, texts, top_n=top_n)]
    for framework in FRAMEWORKS:
        assert framework(QUERY, texts, metadata, reranker=shared, top_n=top_n) == expected


@pytest.mark.parametrize(
    "options",
    [
        {"normalization": "minmax", "score_threshold": 0.2},
        {"normalization": "softmax"},
        {"normalization": "none", "max_length": 24, "top_n": 3},
        {"long_documents": "windows", "max_length": 32},
        {"max_batch_tokens": 64},
        {"metadata_fields": ["title", "year"], "top_n": None},
    ],
    ids=str,
)
def test_options_mean_the_same(options: dict[str, Any]) -> None:
    texts = [*TEXTS, *HOSTILE_TEXTS[:9], TEXTS[0]]
    # LlamaIndex's nodes and LangChain's documents refuse lone surrogates themselves.
    texts = [text for text in texts if text.isprintable() or text.isascii()]
    metadata: Metadata = [{"title": f"On {n}", "year": n, "x": None} for n in range(len(texts))]
    first, *others = (framework(QUERY, texts, metadata, **options) for framework in FRAMEWORKS)
    assert first
    for other in others:
        assert other == first


def test_errors_are_the_same() -> None:
    for framework in FRAMEWORKS:
        messages = []
        for query, options in [(" ", {}), (QUERY, {"max_length": 4096})]:
            with pytest.raises(InvalidRequestError) as caught:
                framework(query, list(TEXTS), [{} for _ in TEXTS], reranker=None, **options)
            messages.append(str(caught.value))
        assert "query" in messages[0]
        assert "4096" in messages[1]


def test_the_cross_encoder_gives_the_same_scores() -> None:
    encoder = ResiftCrossEncoder(reranker=shared)
    assert encoder.score([(QUERY, text) for text in TEXTS]) == shared.score(QUERY, TEXTS)
