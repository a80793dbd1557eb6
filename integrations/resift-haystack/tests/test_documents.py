"""Documents in and out of the component on its own."""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from haystack import Document
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack_integrations.components.rankers.resift import ResiftRanker

from resift import InvalidRequestError
from resift.testing import QUERY, TEXTS

MakeDocuments = Callable[[], list[Document]]


def test_every_other_field_is_kept() -> None:
    given = Document(
        id="mine",
        content=TEXTS[0],
        blob=ByteStream(b"raw", mime_type="text/plain"),
        meta={"tags": ["a"]},
        score=123.0,
        embedding=[0.1, 0.2],
        sparse_embedding=SparseEmbedding(indices=[1], values=[0.5]),
    )
    (kept,) = ResiftRanker().run(QUERY, [given])["documents"]
    assert kept is not given
    assert kept.score is not None
    assert 0 <= kept.score <= 1
    assert {**kept.to_dict(flatten=False), "score": 123.0} == given.to_dict(flatten=False)


def test_results_share_no_metadata_with_the_input() -> None:
    given = [Document(content=TEXTS[0], meta={"tags": ["a"], "nested": {"n": 1}})]
    before = copy.deepcopy(given)
    (kept,) = ResiftRanker().run(QUERY, given)["documents"]
    kept.meta["tags"].append("b")
    kept.meta["nested"]["n"] = 2
    kept.meta["new"] = True
    assert given == before


def test_duplicates_are_kept() -> None:
    given = [
        Document(id="same", content=TEXTS[0], score=0.9),
        Document(id="same", content=TEXTS[1], score=0.1),
        Document(id="other", content=TEXTS[0]),
    ]
    kept = ResiftRanker().run(QUERY, given)["documents"]
    assert [document.id for document in kept] == ["same", "other", "same"]


def test_content_that_is_not_str_is_refused_by_index(make_documents: MakeDocuments) -> None:
    given = make_documents()
    # The constructor refuses this, an assignment doesn't.
    vars(given[1])["content"] = 5
    with pytest.raises(InvalidRequestError, match=r"(?<!\d)1(?!\d)"):
        ResiftRanker().run(QUERY, given)


@pytest.mark.parametrize("wrong", ["a text", [1, 2], [None]])
def test_an_invalid_document_is_refused(wrong: Any, make_documents: MakeDocuments) -> None:
    # Text is iterable too, but no list that somebody meant.
    named = "documents must be" if isinstance(wrong, str) else r"documents\[0\]"
    with pytest.raises(InvalidRequestError, match=named):
        ResiftRanker().run(QUERY, wrong)
    with pytest.raises(InvalidRequestError, match=r"documents\[1\]"):
        ResiftRanker().run(QUERY, [*make_documents()[:1], *wrong])


@pytest.mark.parametrize("top_k", [0, -1, True, 2.0, "2"])
def test_errors_say_top_k(top_k: Any, make_documents: MakeDocuments) -> None:
    with pytest.raises(InvalidRequestError, match="top_k"):
        ResiftRanker(top_k=top_k)
    with pytest.raises(InvalidRequestError, match="top_k"):
        ResiftRanker().run(QUERY, make_documents(), top_k=top_k)
    with pytest.raises(InvalidRequestError, match="top_k"):
        asyncio.run(ResiftRanker().run_async(QUERY, make_documents(), top_k=top_k))


def test_the_engines_name_for_top_k_is_refused() -> None:
    with pytest.raises(TypeError, match="top_n"):
        ResiftRanker(top_n=3)  # type: ignore[call-arg]


def test_run_async_takes_call_options(make_documents: MakeDocuments) -> None:
    kept = asyncio.run(ResiftRanker(top_k=4).run_async(QUERY, make_documents(), top_k=2))
    assert len(kept["documents"]) == 2
    kept = asyncio.run(ResiftRanker().run_async(QUERY, make_documents(), score_threshold=1.1))
    assert kept == {"documents": []}


def test_run_and_run_async_have_one_signature() -> None:
    assert inspect.signature(ResiftRanker.run) == inspect.signature(ResiftRanker.run_async)
