"""Queries, documents and options: what is taken, and what is refused."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pytest
from reranker.inputs import DOCUMENTS

from resift import Calibration, InvalidRequestError, Reranker, RerankerOptions


@pytest.mark.parametrize("document", [1, b"bytes", ["list"], 1.5])
def test_other_types_are_refused_by_index(tiny: Path, document: object) -> None:
    with pytest.raises(InvalidRequestError, match=r"documents\[1\]"):
        Reranker(tiny).rank("a", ["a", document])  # type: ignore[list-item]


@pytest.mark.parametrize("query", [None, 3, b"a", ["a"]])
def test_other_queries_are_refused(tiny: Path, query: object) -> None:
    with pytest.raises(InvalidRequestError, match="query must be a str"):
        Reranker(tiny).rank(query, ["a"])  # type: ignore[arg-type]


@pytest.mark.parametrize("documents", ["good", b"good", None, 3])
def test_documents_that_are_no_list_are_refused(tiny: Path, documents: object) -> None:
    with pytest.raises(InvalidRequestError, match="documents must be a list"):
        Reranker(tiny).rank("a", documents)  # type: ignore[arg-type]


def test_documents_may_be_any_iterable(tiny: Path) -> None:
    expected = Reranker(tiny).rank("a", DOCUMENTS).results
    assert Reranker(tiny).rank("a", iter(DOCUMENTS)).results == expected
    assert Reranker(tiny).rank("a", tuple(DOCUMENTS)).results == expected


def test_a_misspelt_call_option_is_refused(tiny: Path) -> None:
    reranker = Reranker(tiny)
    with pytest.raises(TypeError, match="topn"):
        reranker.rank("a", ["a"], topn=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="topn"):
        reranker.rank_many([("a", ["a"])], topn=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="top_n"):
        reranker.score("a", ["a"], top_n=1)  # type: ignore[call-arg]


def test_call_time_options_take_precedence(tiny: Path) -> None:
    reranker = Reranker(tiny, normalization="none", score_threshold=100.0)
    assert len(reranker.rank("a", DOCUMENTS, score_threshold=0.0)) == 4
    top = reranker.rank("a", DOCUMENTS, normalization="minmax", score_threshold=0.5)
    assert top[0].score == 1.0
    assert all(result.score is not None and result.score >= 0.5 for result in top)
    with pytest.raises(InvalidRequestError, match="normalization"):
        reranker.rank("a", DOCUMENTS, normalization="")


def test_options_recreate_the_reranker(tiny: Path) -> None:
    calibration = Calibration(slope=2.0, intercept=0.5)
    reranker = Reranker(tiny, threads=1, normalization=calibration, score_threshold=0.25)
    json.dumps(reranker.options)
    again = Reranker(**reranker.options)
    assert again.options == reranker.options
    assert again.rank("a", DOCUMENTS).results == reranker.rank("a", DOCUMENTS).results
    assert "threads=1" in repr(reranker)


def test_copies_share_and_pickles_rebuild(tiny: Path) -> None:
    reranker = Reranker(tiny)
    assert copy.copy(reranker) is reranker
    assert copy.deepcopy([reranker])[0] is reranker
    revived = pickle.loads(pickle.dumps(reranker))
    assert revived.rank("a", DOCUMENTS).results == reranker.rank("a", DOCUMENTS).results


def test_option_names_are_declared_once() -> None:
    import inspect

    signature = set(inspect.signature(Reranker).parameters)
    assert signature == set(RerankerOptions.__annotations__) | {"score_threshold", "scorer"}
