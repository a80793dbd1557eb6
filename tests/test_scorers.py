"""Scorers: a ready one in place of a model, and what is made only once."""

from __future__ import annotations

import json
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from numbers_scorer import Numbers
from rankings import order

from resift import (
    InvalidRequestError,
    NonFiniteScoreError,
    Reranker,
    TimingEvent,
)
from resift.adapter import Adapter
from resift.attributes import EngineOptions
from resift.once import Once
from resift.options import LoadOptions
from resift.scoring.local import LocalScorer

TEXTS = ["9", "1", "5", "nan", "7", "3", "2"]


def test_a_ready_scorer_ranks() -> None:
    events: list[TimingEvent] = []
    reranker = Reranker(scorer=Numbers(), normalization="none", on_timing=events.append)
    ranking = reranker.rank("q", ["2", "3", "2", "1"], top_n=3)
    assert [(each.index, each.score) for each in ranking] == [(1, 3.0), (0, 2.0), (2, 2.0)]
    assert (ranking.model, ranking.backend, ranking.device) == ("numbers", "fake", "abacus")
    assert (ranking.counts.documents, ranking.counts.pairs) == (4, 3)
    assert events[0].model == "numbers"
    assert reranker.score("q", ["2", "3"]) == [2.0, 3.0]


def test_without_documents_a_scorer_is_not_called() -> None:
    scorer = Numbers()
    ranking = Reranker(scorer=scorer).rank("q", [])
    assert (len(ranking), ranking.model, ranking.device) == (0, "numbers", None)
    assert scorer.asked == []


def test_warm_up_is_passed_to_the_scorer() -> None:
    scorer = Numbers()
    Reranker(scorer=scorer).warm_up()
    assert scorer.warm == 1


def test_documents_that_a_scorer_leaves_out_are_not_ranked() -> None:
    reranker = Reranker(scorer=Numbers(missing="9 1"), normalization="none")
    ranking = reranker.rank("q", ["9", "2", "1", "3", "9"])
    assert order(ranking) == [3, 1]
    assert ranking.counts.pruned_documents == 3


def test_a_nan_of_a_scorer_is_an_error() -> None:
    with pytest.raises(NonFiniteScoreError, match=r"numbers on backend 'fake'.*\[3\]"):
        Reranker(scorer=Numbers()).rank("q", TEXTS)


@pytest.mark.parametrize(
    "options", [{"model": "resift-nano"}, {"backend": "onnx"}, {"threads": 1}, {"token": "hf_x"}]
)
def test_a_scorer_together_with_a_model_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match="not both") as raised:
        Reranker(scorer=Numbers(), **options)
    assert "hf_x" not in str(raised.value)


@pytest.mark.parametrize("scorer", [object(), "resift-nano", {}])
def test_an_object_that_is_no_scorer_is_refused(scorer: Any) -> None:
    with pytest.raises(InvalidRequestError, match="scorer must"):
        Reranker(scorer=scorer)


def test_a_scorer_is_one_of_the_options() -> None:
    scorer = Numbers()
    reranker = Reranker(scorer=scorer, normalization="none")
    assert reranker.options["scorer"] is scorer
    assert "model" not in reranker.options
    assert order(Reranker(**reranker.options).rank("q", ["1", "2"])) == [1, 0]
    assert order(pickle.loads(pickle.dumps(reranker)).rank("q", ["1", "2"])) == [1, 0]


def test_a_local_model_is_a_scorer(tiny: Path) -> None:
    documents = ["bad", "good", "a b"]
    expected = Reranker(tiny, backend="onnx").rank("a", documents)
    scorer = LocalScorer(LoadOptions(model=tiny, backend="onnx"))
    assert Reranker(scorer=scorer).rank("a", documents).results == expected.results


def test_a_value_is_made_once() -> None:
    made: list[int] = []

    def make() -> int:
        time.sleep(0.02)
        made.append(threading.get_ident())
        return len(made)

    once = Once(make)
    assert not once.is_made
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: once.get(), range(16))) == {1}
    assert once.is_made
    assert len(made) == 1


def test_a_value_that_could_not_be_made_is_tried_again() -> None:
    attempts = iter([OSError("busy"), None])

    def make() -> str:
        error = next(attempts)
        if error is not None:
            raise error
        return "made"

    once = Once(make)
    with pytest.raises(OSError, match="busy"):
        once.get()
    assert once.get() == "made"


def test_an_adapters_scorer_is_its_rerankers() -> None:
    class Options(EngineOptions):
        def __init__(self, reranker: Reranker) -> None:
            self._take(
                Adapter(
                    reranker=reranker, top_n=5, score_threshold=None, metadata_fields=(), options={}
                )
            )

    scorer = Numbers()
    options = Options(Reranker(scorer=scorer))
    assert options.scorer is scorer
    with pytest.raises(InvalidRequestError, match="assign reranker="):
        options.scorer = Numbers()  # type: ignore[misc]
    options.reranker = Reranker(normalization="none")
    assert [options.scorer, options.normalization] == [None, "none"]


def test_an_adapter_shows_the_model_that_a_scorer_names() -> None:
    def adapter(scorer: Numbers) -> Adapter:
        reranker = Reranker(scorer=scorer)
        return Adapter(
            reranker=reranker, top_n=5, score_threshold=None, metadata_fields=(), options={}
        )

    scorer = Numbers()
    assert adapter(scorer).values()["model"] == adapter(scorer).to_dict()["model"] == "numbers"
    assert adapter(scorer) == adapter(scorer)
    assert adapter(scorer) != adapter(Numbers())
    json.dumps(adapter(scorer).to_dict())
