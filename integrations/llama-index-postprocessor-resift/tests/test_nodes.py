from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from llama_index.core.schema import (
    ImageNode,
    IndexNode,
    MetadataMode,
    Node,
    NodeWithScore,
    QueryBundle,
    TextNode,
)
from llama_index.postprocessor.resift import ResiftRerank

from resift import InvalidRequestError, Reranker
from resift.testing import QUERY, TEXTS

MakeNodes = Callable[..., list[NodeWithScore]]


def test_nothing_is_shared_with_the_input(engine: Reranker, make_nodes: MakeNodes) -> None:
    nodes = make_nodes()
    before = copy.deepcopy(nodes)
    for keep_retrieval_score in (True, False):
        rerank = ResiftRerank(reranker=engine, keep_retrieval_score=keep_retrieval_score)
        for result in rerank.postprocess_nodes(nodes, query_str=QUERY):
            result.metadata["nested"]["tags"].append("changed")
            result.metadata["new"] = 1
            result.node.excluded_llm_metadata_keys.append("page")
            result.node.set_content("changed")
    assert nodes == before


def test_everything_else_of_a_node_is_kept(engine: Reranker) -> None:
    node = TextNode(
        text=TEXTS[0],
        id_="kept",
        embedding=[0.5, 1.5],
        metadata={"page": 1},
        excluded_llm_metadata_keys=["page"],
        start_char_idx=3,
        text_template="{content}",
    )
    (result,) = ResiftRerank(reranker=engine).postprocess_nodes(
        [NodeWithScore(node=node, score=None)], query_str=QUERY
    )
    assert result.node == node
    assert type(result.node) is TextNode


def test_retrieval_score_is_hidden_from_embeddings_and_llms(
    engine: Reranker, make_nodes: MakeNodes
) -> None:
    rerank = ResiftRerank(reranker=engine, keep_retrieval_score=True)
    first = rerank.postprocess_nodes(make_nodes(), query_str=QUERY)
    for result in first:
        assert result.metadata["retrieval_score"] == 0.25
        for mode in (MetadataMode.EMBED, MetadataMode.LLM):
            assert "retrieval_score" not in result.node.get_content(metadata_mode=mode)
            assert "page" in result.node.get_content(metadata_mode=mode)
    # Again: the score is that of the first reranking, and the keys aren't listed twice.
    for result, before in zip(rerank.postprocess_nodes(first, query_str=QUERY), first, strict=True):
        assert result.metadata["retrieval_score"] == before.score
        assert result.node.excluded_embed_metadata_keys == ["retrieval_score"]
        assert result.node.excluded_llm_metadata_keys == ["retrieval_score"]


def test_retrieval_score_is_not_kept_by_default(engine: Reranker, make_nodes: MakeNodes) -> None:
    for result in ResiftRerank(reranker=engine).postprocess_nodes(make_nodes(), query_str=QUERY):
        assert "retrieval_score" not in result.metadata
        assert result.node.excluded_llm_metadata_keys == []


def test_numbers_are_python_floats(engine: Reranker, make_nodes: MakeNodes) -> None:
    nodes = make_nodes()
    nodes[0].score = np.float32(0.5)  # type: ignore[assignment]
    nodes[1].score = None
    rerank = ResiftRerank(reranker=engine, keep_retrieval_score=True, top_n=None)
    results = rerank.postprocess_nodes(nodes, query_str=QUERY)
    json.dumps([result.to_dict() for result in results])
    kept = {result.metadata["page"]: result.metadata["retrieval_score"] for result in results}
    assert kept == {0: 0.5, 1: None, **dict.fromkeys(range(2, len(TEXTS)), 0.25)}
    assert type(kept[0]) is float


def test_nodes_without_text_are_scored_as_empty(engine: Reranker) -> None:
    nodes = [
        NodeWithScore(node=ImageNode(image_url="https://example.org/a.png")),
        NodeWithScore(node=Node()),
        NodeWithScore(node=TextNode(text="")),
        NodeWithScore(node=TextNode(text=TEXTS[0])),
    ]
    results = ResiftRerank(reranker=engine).postprocess_nodes(nodes, query_str=QUERY)
    assert [result.node for result in results] == [nodes[n].node for n in (3, 0, 1, 2)]
    assert len({result.score for result in results[1:]}) == 1
    assert isinstance(results[1].node, ImageNode)


def test_the_object_of_an_index_node_is_not_copied(engine: Reranker) -> None:
    class Index:
        def __deepcopy__(self, memo: object) -> Index:
            raise AssertionError("a whole index was copied")

    index = Index()
    node = IndexNode(text=TEXTS[0], index_id="an index", obj=index)
    node.metadata["a"] = {"b": 1}
    (result,) = ResiftRerank(reranker=engine).postprocess_nodes(
        [NodeWithScore(node=node)], query_str=QUERY
    )
    assert isinstance(result.node, IndexNode)
    assert result.node.obj is index
    assert result.node.metadata["a"] is not node.metadata["a"]


@pytest.mark.parametrize("mode", list(MetadataMode))
def test_metadata_mode_scores_llama_indexs_own_text(engine: Reranker, mode: MetadataMode) -> None:
    node = TextNode(
        text=TEXTS[1],
        metadata={"title": TEXTS[0], "author": "A", "year": 2020},
        excluded_embed_metadata_keys=["title"],
        excluded_llm_metadata_keys=["year"],
    )
    (expected,) = engine.score(QUERY, [node.get_content(metadata_mode=mode)])
    for given in (mode, mode.value):
        (result,) = ResiftRerank(reranker=engine, metadata_mode=given).postprocess_nodes(
            [NodeWithScore(node=node)], query_str=QUERY
        )
        assert result.score == expected


@pytest.mark.parametrize("query", [None, "", "  "])
def test_missing_query_is_refused(
    engine: Reranker, make_nodes: MakeNodes, query: str | None
) -> None:
    rerank = ResiftRerank(reranker=engine)
    bundle = None if query is None else QueryBundle(query)
    for nodes in (make_nodes(), []):
        with pytest.raises(InvalidRequestError, match="query"):
            rerank.postprocess_nodes(nodes, query_bundle=bundle)


@pytest.mark.parametrize(
    "options",
    [{"metadata_mode": "some"}, {"metadata_mode": None}, {"keep_retrieval_score": 1}],
    ids=str,
)
def test_an_invalid_option_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match=next(iter(options))):
        ResiftRerank(**options)


def test_options_are_keywords() -> None:
    with pytest.raises(TypeError):
        ResiftRerank(5)  # type: ignore[call-arg]


def test_assignments_take_effect(engine: Reranker) -> None:
    node = TextNode(
        text=TEXTS[1], metadata={"title": TEXTS[0]}, excluded_embed_metadata_keys=["title"]
    )
    rerank = ResiftRerank(reranker=engine)
    rerank.metadata_mode = "all"  # type: ignore[assignment]
    assert rerank.metadata_mode is MetadataMode.ALL
    rerank.keep_retrieval_score = True
    (result,) = rerank.postprocess_nodes([NodeWithScore(node=node, score=0.5)], query_str=QUERY)
    (expected,) = engine.score(QUERY, [node.get_content(metadata_mode=MetadataMode.ALL)])
    assert result.score == expected
    assert result.metadata["retrieval_score"] == 0.5
    again = rerank.model_copy(update={"metadata_mode": "embed", "keep_retrieval_score": False})
    (result,) = again.postprocess_nodes([NodeWithScore(node=node, score=0.5)], query_str=QUERY)
    assert "retrieval_score" not in result.metadata
    assert result.score == engine.score(QUERY, [TEXTS[1]])[0]


@pytest.mark.parametrize(
    ("option", "wrong"),
    [("metadata_mode", "some"), ("metadata_mode", None), ("keep_retrieval_score", 1)],
)
def test_assignments_are_checked(option: str, wrong: Any) -> None:
    rerank = ResiftRerank()
    with pytest.raises(InvalidRequestError, match=option):
        setattr(rerank, option, wrong)
    with pytest.raises(InvalidRequestError, match=option):
        rerank.model_copy(update={option: wrong})
    assert rerank == ResiftRerank()


def test_a_refused_call_has_no_events(engine: Reranker, record: Any) -> None:
    wrong: Any = ["a string"]
    with pytest.raises(InvalidRequestError, match=r"documents\[0\]"):
        ResiftRerank(reranker=engine).postprocess_nodes(wrong, query_str=QUERY)
    span = "ResiftRerank._postprocess_nodes"
    assert record.log == [f"+{span}", "SpanDropEvent", f"!{span}"]
