"""Rows for adapters alone."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from resift import InvalidRequestError, Reranker, TimingEvent
from resift.options import LoadOptions
from resift.scoring.local import LocalScorer
from resift.testing.contract import RankingContract
from resift.testing.options import OptionRows
from resift.testing.subject import shared
from resift.testing.texts import QUERY, TEXTS


class AdapterContract(OptionRows, RankingContract):
    """The contract, with rows for adapters: documents, metadata, and options as attributes."""

    @pytest.mark.parametrize("wrong", ["a string", None, 5, {"text": "a mapping"}, []], ids=repr)
    def test_an_invalid_document_is_refused_by_index(self, wrong: Any) -> None:
        subject = self.build(model="nobody/nothing", offline=True)
        documents = self.to_native(TEXTS[:2])
        for given in ([wrong, *documents], [*documents, wrong], iter([*documents, wrong])):
            index = 0 if isinstance(given, list) and given[0] is wrong else 2
            with pytest.raises(
                InvalidRequestError, match=rf"documents\[{index}\] must be"
            ) as error:
                self.run(subject, QUERY, given)
            assert type(wrong).__name__ in str(error.value)
        with pytest.raises(InvalidRequestError, match=r"documents\[2\] must be"):
            asyncio.run(self.arun(subject, QUERY, [*documents, wrong]))

    def test_metadata_that_cannot_be_copied_is_named(self) -> None:
        subject = self.build(model="nobody/nothing", offline=True)
        for wrong in (threading.Lock(), (n for n in range(3))):
            documents = self.to_native(TEXTS[:2], [{}, {"fine": [1], "wrong": wrong}])
            with pytest.raises(InvalidRequestError, match=r"documents\[1\].*'wrong'"):
                self.run(subject, QUERY, documents)
            with pytest.raises(InvalidRequestError, match=r"documents\[1\].*'wrong'"):
                asyncio.run(self.arun(subject, QUERY, documents))

    def test_metadata_fields_are_put_before_the_text(self) -> None:
        metadata: list[dict[str, Any]] = [
            {"title": "Sorting", "views": 0, "draft": False, "note": "", "missing": None, "x": 1},
            {"x": 2},
        ]
        fields = ("views", "title", "draft", "note", "missing", "absent")
        documents = self.to_native(TEXTS[:2], metadata)
        subject = self.build(metadata_fields=fields, normalization="none", prior=0)
        kept = self.read(self.run(subject, QUERY, documents), documents)
        expected = shared.score(
            QUERY,
            [f"views: 0\ntitle: Sorting\ndraft: False\nnote: \n{TEXTS[0]}", TEXTS[1]],
            normalization="none",
        )
        for result in kept:
            assert result.score == pytest.approx(expected[result.index], abs=1e-5)

    def test_metadata_is_not_scored_by_default(self) -> None:
        documents = self.to_native([TEXTS[1]], [{"title": TEXTS[0]}])
        (kept,) = self.read(self.run(self.build(), QUERY, documents), documents)
        assert kept.score == pytest.approx(shared.score(QUERY, [TEXTS[1]])[0], abs=1e-5)

    def test_the_order_of_a_retriever_counts_by_default(self) -> None:
        documents = self.to_native(TEXTS)
        kept = self.read(self.run(self.build(top_n=None), QUERY, documents), documents)
        expected = shared.rank(QUERY, TEXTS, prior="auto")
        assert expected.prior is not None
        assert [(r.index, r.score) for r in kept] == [(r.index, r.score) for r in expected]
        off = self.read(self.run(self.build(top_n=None, prior=None), QUERY, documents), documents)
        plain = shared.rank(QUERY, TEXTS)
        assert [(r.index, r.score) for r in off] == [(r.index, r.score) for r in plain]

    def test_a_ready_reranker_is_used(self) -> None:
        events: list[TimingEvent] = []
        reranker = Reranker(on_timing=events.append)
        self.rank(QUERY, TEXTS, reranker=reranker)
        assert len(events) == 1
        with pytest.raises(InvalidRequestError, match="threads"):
            self.build(reranker=reranker, threads=1)
        with pytest.raises(InvalidRequestError, match="reranker"):
            self.build(reranker="resift-small")

    def test_a_scorer_is_given_as_a_reranker(self) -> None:
        scorer = LocalScorer(LoadOptions(model="resift-nano"))
        subject = self.build(reranker=Reranker(scorer=scorer))
        assert subject.scorer is scorer
        documents = self.to_native(TEXTS)
        kept = self.read(self.run(subject, QUERY, documents), documents)
        expected = Reranker("resift-nano").rank(QUERY, TEXTS, top_n=5)
        assert [(r.index, r.score) for r in kept] == [(r.index, r.score) for r in expected]
        advice = r"reranker= a resift\.Reranker\(scorer="
        for other in ({}, {"reranker": Reranker()}, {"model": "resift-nano"}):
            with pytest.raises(InvalidRequestError, match=advice):
                self.build(scorer=scorer, **other)
        with pytest.raises(InvalidRequestError, match=advice):
            subject.scorer = scorer
