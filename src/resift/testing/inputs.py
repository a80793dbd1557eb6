"""Rows on inputs: queries, documents and options."""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Callable, ValuesView
from typing import Any

import pytest

from resift import InvalidRequestError
from resift.testing.subject import Subject
from resift.testing.texts import HOSTILE_TEXTS, QUERY, TEXTS


def _values(given: list[Any]) -> ValuesView[Any]:
    return dict(enumerate(given)).values()


class InputRows(Subject):
    """Rows on valid and invalid inputs."""

    @pytest.mark.parametrize("query", ["", " \t\n", "\u3000"])
    def test_blank_query_is_refused(self, query: str) -> None:
        with pytest.raises(InvalidRequestError, match="query"):
            self.rank(query, TEXTS)
        with pytest.raises(ValueError, match="query"):
            self.rank(query, [])

    def test_no_documents_need_no_model(self) -> None:
        assert self.rank(QUERY, [], model="nobody/nothing", offline=True) == []

    def test_none_is_scored_as_empty(self) -> None:
        kept = self.rank(QUERY, [TEXTS[0], None, ""], top_n=3)
        by_index = {result.index: result.score for result in kept}
        assert by_index[1] == by_index[2]

    def test_duplicates_are_all_reported(self) -> None:
        kept = self.rank(QUERY, [TEXTS[1], TEXTS[0], TEXTS[1], TEXTS[0]], top_n=4)
        assert [result.index for result in kept] == [1, 3, 0, 2]
        assert kept[0].score == kept[1].score
        assert kept[2].score == kept[3].score

    def test_hostile_texts_are_ranked(self) -> None:
        kept = self.rank(QUERY, HOSTILE_TEXTS, top_n=len(HOSTILE_TEXTS))
        assert sorted(result.index for result in kept) == list(range(len(HOSTILE_TEXTS)))
        subject, documents = self.build(), self.to_native(TEXTS[:2])
        for text in HOSTILE_TEXTS[2:]:
            output = self.run(subject, text, documents)
            assert len(self.read(output, documents)) == 2

    def test_a_long_document_is_ranked(self) -> None:
        long = "The river runs through ten countries. " * 27_000
        assert len(long) > 1_000_000
        assert [result.index for result in self.rank(QUERY, [long, TEXTS[0]])] == [1, 0]

    @pytest.mark.parametrize("top_n", [0, -1, True, False, 2.0, "2"])
    def test_an_invalid_top_n_is_refused(self, top_n: object) -> None:
        with pytest.raises(InvalidRequestError, match="top_n"):
            self.rank(QUERY, TEXTS, top_n=top_n)

    def test_top_n_keeps_the_best(self) -> None:
        everything = self.rank(QUERY, TEXTS, top_n=len(TEXTS))
        assert len(everything) == len(TEXTS)
        assert self.rank(QUERY, TEXTS, top_n=3) == everything[:3]
        assert self.rank(QUERY, TEXTS, top_n=100) == everything

    def test_the_default_top_n_is_kept(self) -> None:
        expected = len(TEXTS) if self.default_top_n is None else self.default_top_n
        assert len(self.rank(QUERY, TEXTS)) == expected

    def test_top_n_none_keeps_all(self) -> None:
        assert len(self.rank(QUERY, TEXTS, top_n=None)) == len(TEXTS)

    @pytest.mark.parametrize(
        "option", ["topn", "threshold", "model_name", "batch_size", "top_n_", "normalise"]
    )
    def test_misspelt_option_is_refused(self, option: str) -> None:
        with pytest.raises(TypeError, match=option):
            self.build(**{option: 1})

    @pytest.mark.parametrize(
        "options",
        [
            {"normalization": "tanh"},
            {"normalization": ""},
            {"long_documents": "drop"},
            {"prune": "always"},
            {"prune": "auto", "normalization": "softmax"},
            {"score_threshold": "high"},
            {"score_threshold": float("nan")},
            {"score_threshold": True},
            {"max_length": 0},
            {"max_batch_tokens": -1},
            {"threads": 0},
            {"backend": "abacus"},
            {"model": ""},
            {"offline": "yes"},
        ],
        ids=str,
    )
    def test_an_invalid_option_is_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(InvalidRequestError, match=next(iter(options))):
            self.build(**options)

    @pytest.mark.parametrize(
        "wrap",
        [tuple, iter, deque, lambda given: (each for each in given), _values],
        ids=["tuple", "iterator", "deque", "generator", "values of a dict"],
    )
    def test_any_iterable_is_read_once(self, wrap: Callable[[list[Any]], Any]) -> None:
        documents = self.to_native(TEXTS)
        subject = self.build()
        expected = self.read(self.run(subject, QUERY, documents), documents)
        assert expected
        assert self.read(self.run(subject, QUERY, wrap(documents)), documents) == expected
        output = asyncio.run(self.arun(subject, QUERY, wrap(documents)))
        assert self.read(output, documents) == expected

    def test_an_empty_iterator_gives_no_results(self) -> None:
        subject = self.build(model="nobody/nothing", offline=True)
        assert self.read(self.run(subject, QUERY, iter(())), []) == []

    @pytest.mark.parametrize("wrong", [None, "", "text", b"text", 5, {}, {"a": "text"}], ids=repr)
    def test_documents_that_are_no_list_are_refused(self, wrong: Any) -> None:
        subject = self.build(model="nobody/nothing", offline=True)
        with pytest.raises(InvalidRequestError, match="documents must be") as caught:
            self.run(subject, QUERY, wrong)
        assert type(wrong).__name__ in str(caught.value)
        with pytest.raises(InvalidRequestError, match="documents must be"):
            asyncio.run(self.arun(subject, QUERY, wrong))

    @pytest.mark.parametrize("wrong", [5, b"bytes", {"text": "a mapping"}, object()], ids=repr)
    def test_an_invalid_element_is_refused_before_loading(self, wrong: Any) -> None:
        subject = self.build(model="nobody/nothing", offline=True)
        documents = [*self.to_native(TEXTS[:2]), wrong]
        with pytest.raises(InvalidRequestError, match=r"documents\[2\] must be"):
            self.run(subject, QUERY, documents)

    def test_inputs_are_unchanged(self) -> None:
        documents = self.to_native(TEXTS)
        before = copy.deepcopy(documents)
        identities = [id(document) for document in documents]
        self.run(self.build(), QUERY, documents)
        assert documents == before
        assert [id(document) for document in documents] == identities
