"""``ResiftCrossEncoder``, and the one class of LangChain's that takes it."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest
from langchain_classic.retrievers.document_compressors import CrossEncoderReranker
from langchain_core.cross_encoders import BaseCrossEncoder
from langchain_core.documents import Document
from langchain_resift import ResiftCrossEncoder
from pydantic import SecretStr

from resift import InvalidRequestError, ModelNotFoundError, Reranker, RerankerOptions, TimingEvent

SORT = "how do I sort a dictionary by value"
BREAD = "why does bread rise"
PAIRS = [
    (SORT, "Bread rises because of yeast."),
    (BREAD, "Bread rises because of yeast."),
    (SORT, "Use sorted with a key function."),
    (BREAD, "The museum is closed on Mondays."),
    (SORT, "Bread rises because of yeast."),
]


def test_scores_are_the_engines_in_input_order() -> None:
    reranker = Reranker()
    scores = ResiftCrossEncoder().score(PAIRS)
    assert scores == pytest.approx([reranker.score(q, [text])[0] for q, text in PAIRS], abs=1e-5)
    assert scores[0] == scores[4]
    assert scores[1] > scores[3]
    assert all(type(score) is float for score in scores)


def test_many_queries_are_one_call() -> None:
    events: list[TimingEvent] = []
    ResiftCrossEncoder(on_timing=events.append).score(PAIRS)
    (event,) = events
    assert event.documents == len(PAIRS)
    assert event.pairs == len(PAIRS) - 1


def test_no_pairs_need_no_model() -> None:
    assert ResiftCrossEncoder(model="no-such-model").score([]) == []
    with pytest.raises(ModelNotFoundError):
        ResiftCrossEncoder(model="no-such-model").score(PAIRS)


def test_every_pair_has_a_score_whatever_the_rerankers_threshold() -> None:
    scores = ResiftCrossEncoder(reranker=Reranker(score_threshold=0.9)).score(PAIRS)
    assert scores == ResiftCrossEncoder().score(PAIRS)
    logits = ResiftCrossEncoder(normalization="none").score(PAIRS)
    assert min(logits) < 0


@pytest.mark.parametrize(
    "wrong",
    [
        "ab",
        ("query",),
        ("query", "text", "more"),
        (1, "text"),
        ("query", 2),
        None,
        {"a": 1, "b": 2},
    ],
    ids=repr,
)
def test_an_invalid_pair_is_refused_by_position(wrong: Any) -> None:
    with pytest.raises(InvalidRequestError, match=r"text_pairs\[1\]"):
        ResiftCrossEncoder().score([PAIRS[0], wrong])


def test_lists_are_pairs_and_none_is_an_empty_text() -> None:
    pairs: list[Any] = [[SORT, "text"], (SORT, None), (SORT, "")]
    scores = ResiftCrossEncoder().score(pairs)
    assert scores[0] == pytest.approx(ResiftCrossEncoder().score([(SORT, "text")])[0], abs=1e-5)
    assert scores[1] == scores[2]


@pytest.mark.parametrize("wrap", [tuple, iter, lambda pairs: dict(enumerate(pairs)).values()])
def test_any_iterable_is_read_once(wrap: Any) -> None:
    assert ResiftCrossEncoder().score(wrap(PAIRS)) == ResiftCrossEncoder().score(PAIRS)


@pytest.mark.parametrize("wrong", [None, "", "ab", b"ab", 5, {}, {SORT: "text"}], ids=repr)
def test_pairs_that_are_no_list_are_refused_before_loading(wrong: Any) -> None:
    with pytest.raises(InvalidRequestError, match="text_pairs must be"):
        ResiftCrossEncoder(model="nobody/nothing", offline=True).score(wrong)


def test_an_invalid_pair_is_refused_before_loading() -> None:
    wrong: Any = iter([PAIRS[0], (SORT, 5)])
    with pytest.raises(InvalidRequestError, match=r"text_pairs\[1\]"):
        ResiftCrossEncoder(model="nobody/nothing", offline=True).score(wrong)


def test_its_options_can_be_seen() -> None:
    for signature in (
        inspect.signature(ResiftCrossEncoder),
        inspect.signature(ResiftCrossEncoder.__init__),
    ):
        assert set(RerankerOptions.__annotations__) | {"reranker"} == set(signature.parameters) - {
            "self"
        }
        assert signature.parameters["model"].default == "resift-small"
    encoder = ResiftCrossEncoder(model="resift-nano", threads=1)
    assert (encoder.model, encoder.threads, encoder.device) == ("resift-nano", 1, None)


def test_a_reranker_may_be_assigned_and_nothing_else() -> None:
    encoder = ResiftCrossEncoder()
    reranker = Reranker("resift-nano")
    encoder.reranker = reranker
    assert encoder.model == "resift-nano"
    assert encoder.score(PAIRS) == ResiftCrossEncoder(model="resift-nano").score(PAIRS)
    wrong: Any = None
    with pytest.raises(InvalidRequestError, match="reranker"):
        encoder.reranker = wrong
    with pytest.raises(InvalidRequestError, match=r"model .*make a new one"):
        encoder.model = "resift-small"
    with pytest.raises(InvalidRequestError, match="top_n"):
        encoder.top_n = 1  # type: ignore[attr-defined]
    assert encoder.reranker is reranker


def test_a_secret_token_is_taken_and_not_shown() -> None:
    encoder = ResiftCrossEncoder(token=SecretStr("hf_unseen"))
    assert encoder.reranker._load_options.token == "hf_unseen"
    assert "hf_unseen" not in repr(encoder)
    assert b"hf_unseen" not in pickle.dumps(encoder)


def test_a_blank_query_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="query"):
        ResiftCrossEncoder().score([(" ", "text")])


def test_options_are_checked_and_shown() -> None:
    reranker = Reranker()
    encoder = ResiftCrossEncoder(reranker=reranker)
    assert isinstance(encoder, BaseCrossEncoder)
    assert encoder.reranker is reranker
    assert repr(encoder) == f"ResiftCrossEncoder(reranker={reranker!r})"
    misspelt: dict[str, Any] = {"normalise": "none"}
    with pytest.raises(TypeError, match="normalise"):
        ResiftCrossEncoder(**misspelt)
    with pytest.raises(InvalidRequestError, match="threads"):
        ResiftCrossEncoder(reranker=reranker, threads=1)
    with pytest.raises(InvalidRequestError, match="threads"):
        ResiftCrossEncoder(threads=0)


def test_copies_work() -> None:
    encoder = ResiftCrossEncoder(normalization="none")
    expected = encoder.score(PAIRS)
    assert copy.deepcopy(encoder).score(PAIRS) == expected
    assert pickle.loads(pickle.dumps(encoder)).score(PAIRS) == expected


def test_langchains_reranker_uses_it(documents: list[Document]) -> None:
    reranker = CrossEncoderReranker(model=ResiftCrossEncoder(), top_n=2)
    kept = reranker.compress_documents(documents, SORT)
    ranking = Reranker().rank(SORT, [each.page_content for each in documents], top_n=2)
    assert kept == [documents[result.index] for result in ranking]
    assert kept[0].id == "sort"
    assert reranker.compress_documents([], SORT) == []
