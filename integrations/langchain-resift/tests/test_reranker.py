"""Properties of ``ResiftReranker`` beyond the contract's rows."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_resift import ResiftReranker
from pydantic import SecretStr, ValidationError

from resift import InvalidRequestError, Reranker

QUERY = "how do I sort a dictionary by value"


def test_copies_keep_id_and_metadata(documents: list[Document]) -> None:
    documents[1].metadata["relevance_score"] = "stale"
    (best,) = ResiftReranker(top_n=1).compress_documents(documents, QUERY)
    texts = [each.page_content for each in documents]
    score = Reranker(prior="auto").rank(QUERY, texts)[0].score
    assert best is not documents[1]
    assert best == Document(
        documents[1].page_content,
        id="sort",
        metadata={"name": "sort", "nested": {"pages": [1, 2]}, "relevance_score": score},
    )
    assert documents[1].metadata["relevance_score"] == "stale"


def test_nested_metadata_is_not_shared(documents: list[Document]) -> None:
    kept = ResiftReranker().compress_documents(documents, QUERY)
    for document in kept:
        document.metadata["nested"]["pages"].append(3)
    assert all(document.metadata["nested"] == {"pages": [1, 2]} for document in documents)


def test_duplicates_are_separate_copies(documents: list[Document]) -> None:
    first, second = ResiftReranker().compress_documents([documents[0]] * 2, QUERY)
    first.metadata["name"] = "changed"
    assert second.metadata["name"] == "danube"


def test_subclasses_of_document_are_kept() -> None:
    class Page(Document):
        number: int

    (kept,) = ResiftReranker().compress_documents([Page(page_content="text", number=3)], QUERY)
    assert isinstance(kept, Page)
    assert kept.number == 3


def test_it_is_a_compressor_whose_options_can_be_read() -> None:
    reranker = Reranker()
    compressor = ResiftReranker(
        top_n=3, score_threshold=0.5, metadata_fields=["title"], reranker=reranker
    )
    assert isinstance(compressor, BaseDocumentCompressor)
    assert compressor.top_n == 3
    assert compressor.score_threshold == 0.5
    assert compressor.metadata_fields == ("title",)
    assert compressor.reranker is reranker
    assert repr(compressor) == (
        f"ResiftReranker(top_n=3, score_threshold=0.5, metadata_fields=('title',), "
        f"reranker={reranker!r})"
    )


def test_a_threshold_of_zero_is_kept() -> None:
    assert ResiftReranker(score_threshold=0).score_threshold == 0.0


def test_copies_of_the_compressor_work(documents: list[Document]) -> None:
    compressor = ResiftReranker(top_n=2, normalization="none")
    expected = compressor.compress_documents(documents, QUERY)
    for copied in (
        copy.copy(compressor),
        copy.deepcopy(compressor),
        compressor.model_copy(deep=True),
        pickle.loads(pickle.dumps(compressor)),
    ):
        assert copied.compress_documents(documents, QUERY) == expected


def test_changed_options_are_honoured_and_checked(documents: list[Document]) -> None:
    compressor = ResiftReranker(top_n=2)
    changed = compressor.model_copy(update={"top_n": 1, "metadata_fields": ("name",)})
    (best,) = changed.compress_documents(documents, QUERY)
    plain, _ = compressor.compress_documents(documents, QUERY)
    assert best.metadata["relevance_score"] != plain.metadata["relevance_score"]
    compressor.top_n = 3
    assert len(compressor.compress_documents(documents, QUERY)) == 3
    for wrong in (True, "2", 0):
        with pytest.raises(InvalidRequestError, match="top_n"):
            compressor.model_copy(update={"top_n": wrong}).compress_documents(documents, QUERY)


def test_pydantic_checks_as_the_constructor_does() -> None:
    assert ResiftReranker.model_validate({"top_n": 2}).top_n == 2
    with pytest.raises(ValueError, match="top_n"):
        ResiftReranker.model_validate({"top_n": "2"})
    with pytest.raises((TypeError, ValidationError), match="topn"):
        ResiftReranker.model_validate({"topn": 2})


def test_options_and_a_reranker_exclude_each_other() -> None:
    options: dict[str, Any] = {"model": "resift-small"}
    with pytest.raises(InvalidRequestError, match="model"):
        ResiftReranker(reranker=Reranker(), **options)


def test_a_subclass_may_add_fields(documents: list[Document]) -> None:
    class Labelled(ResiftReranker):
        label: str = "mine"

    assert Labelled(top_n=1).label == "mine"
    assert len(Labelled(top_n=1).compress_documents(documents, QUERY)) == 1


def test_content_that_is_not_text_is_refused_by_index(documents: list[Document]) -> None:
    documents.append(Document.model_construct(page_content=b"bytes", metadata={}))
    with pytest.raises(InvalidRequestError, match=r"documents\[4\]"):
        ResiftReranker().compress_documents(documents, QUERY)


def test_a_secret_token_is_accepted() -> None:
    secret = SecretStr("hf_unseen")
    for compressor in (
        ResiftReranker(token=secret),
        ResiftReranker().model_copy(update={"token": secret}),
    ):
        assert compressor.reranker._load_options.token == "hf_unseen"
        assert "hf_unseen" not in repr(compressor) + compressor.model_dump_json()


def test_no_engine_is_made_by_a_call(
    documents: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    compressor = ResiftReranker()
    wrong: Any = None
    with pytest.raises(InvalidRequestError, match="reranker"):
        compressor.reranker = wrong
    compressor.compress_documents(documents, QUERY)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a call made an engine")

    monkeypatch.setattr(Reranker, "__init__", refuse)
    assert compressor.compress_documents(documents, QUERY)
