"""Fallbacks: who answers, and what is said of those who couldn't."""

from __future__ import annotations

import asyncio
import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numbers_scorer import Numbers

from resift import InvalidRequestError, ModelNotFoundError, NonFiniteScoreError, Reranker
from resift.scoring import Cascade, Fallback, Local


def down() -> Exception:
    return ConnectionError("the server is down")


def test_the_first_answers_where_it_can() -> None:
    first, second = Numbers("first"), Numbers("second")
    ranking = Reranker(scorer=Fallback(first, second)).rank("q", ["1", "2"])
    assert (ranking.model, ranking.status) == ("first", "complete")
    assert second.asked == []


def test_another_takes_its_place(caplog: pytest.LogCaptureFixture) -> None:
    error = down()
    scorer = Fallback(Numbers("first", error=error), Numbers("second"), Numbers("third"))
    with caplog.at_level(logging.WARNING, "resift"):
        ranking = Reranker(scorer=scorer).rank("q", ["1", "2"])
    assert [each.index for each in ranking] == [1, 0]
    assert (ranking.model, ranking.status, ranking.error) == ("second", "fallback", None)
    assert [each.model for each in ranking.stages] == ["second"]
    assert caplog.messages == [
        "first failed: ConnectionError: the server is down. second is asked in its place"
    ]
    assert caplog.records[0].exc_info is not None
    assert caplog.records[0].exc_info[1] is error


def test_it_is_asked_again_at_the_next_call() -> None:
    first = Numbers("first", error=down())
    reranker = Reranker(scorer=Fallback(first, Numbers("second")))
    assert reranker.rank("q", ["1"]).model == "second"
    first.error = None
    ranking = reranker.rank("q", ["1"])
    assert (ranking.model, ranking.status) == ("first", "complete")


def test_where_all_fail_the_first_error_is_raised_and_none_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = ConnectionError("the server is down")
    scorer = Fallback(
        Numbers("first", error=first),
        Numbers("second", error=OSError("no disk")),
        Numbers("third", error=MemoryError("no memory")),
    )
    with pytest.raises(ConnectionError, match="the server is down") as raised:
        Reranker(scorer=scorer).rank("q", ["1"])
    assert raised.value is first
    assert raised.value.__notes__ == [
        "What was asked in its place failed too: OSError: no disk",
        "What was asked in its place failed too: MemoryError: no memory",
    ]
    assert [each.rpartition(". ")[2] for each in caplog.messages] == [
        "second is asked in its place",
        "third is asked in its place",
        "Nothing is left to ask",
    ]


def test_where_all_fail_the_order_given_may_stand() -> None:
    scorer = Fallback(Numbers("first", error=down()), Numbers("second", error=OSError("no disk")))
    ranking = Reranker(scorer=scorer, on_error="first_stage").rank("q", ["1", "2"])
    assert [(each.index, each.score) for each in ranking] == [(0, None), (1, None)]
    assert (ranking.model, ranking.status) == ("first", "fallback")
    assert ranking.error == "ConnectionError: the server is down"


@pytest.mark.parametrize(
    "error", [InvalidRequestError("too long"), asyncio.CancelledError(), KeyboardInterrupt()]
)
def test_what_the_caller_did_is_no_failure(error: Any) -> None:
    second = Numbers("second")
    with pytest.raises(type(error)):
        Reranker(scorer=Fallback(Numbers("first", error=error), second)).rank("q", ["1"])
    with pytest.raises(type(error)):
        Reranker(scorer=Fallback(Numbers("first", error=error), second)).warm_up()
    assert (second.asked, second.warm) == ([], 0)


@pytest.mark.parametrize("wrong", ["nan", "inf", "-inf"])
def test_a_logit_that_is_not_finite_is_a_failure(
    wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Numbers):
        def _score(self, request: Any, call: Any) -> Any:
            answer = super()._score(request, call)
            answer.logits[np.array(request.texts) == "2"] = float(wrong)
            return answer

    second = Numbers("second")
    reranker = Reranker(scorer=Fallback(Broken("first"), second))
    rankings = reranker.rank_many([("q", ["3", "4"]), ("q", ["1", "2"])])
    # Only the request that has it is asked again.
    assert [(each.model, each.status) for each in rankings] == [
        ("first", "complete"), ("second", "fallback"),
    ]  # fmt: skip
    assert second.asked == [("1", "2")]
    assert "NonFiniteScoreError: first" in caplog.text
    assert "[1]" in caplog.text
    with pytest.raises(NonFiniteScoreError, match="first") as raised:
        Reranker(scorer=Fallback(Broken("first"), Broken("second"))).rank("q", ["2"])
    assert "second" in raised.value.__notes__[0]


def test_an_error_in_a_cascade_names_the_documents_as_they_were_given() -> None:
    first, best = Numbers("first"), Numbers("best", scale=float("nan"))
    cascade = Cascade([first, Fallback(best, best)], keep=[1])
    with pytest.raises(NonFiniteScoreError) as raised:
        Reranker(scorer=cascade).rank("q", ["1", "2", "3", "9"])
    assert raised.value.indices == (3,)


def test_what_was_left_out_or_late_is_no_failure() -> None:
    second = Numbers("second")
    reranker = Reranker(scorer=Fallback(Numbers("first", missing="1", late="2"), second))
    ranking = reranker.rank("q", ["1", "2", "3"])
    assert [each.index for each in ranking] == [2, 1]
    assert (ranking.status, second.asked) == ("partial", [])


def test_without_documents_no_scorer_is_asked() -> None:
    first, second = Numbers("first", error=down()), Numbers("second")
    ranking = Reranker(scorer=Fallback(first, second)).rank("q", [])
    assert (len(ranking), ranking.model, ranking.status) == (0, "first", "complete")


def test_warming_up_falls_back_too(caplog: pytest.LogCaptureFixture) -> None:
    first, second, third = Numbers("first"), Numbers("second"), Numbers("third")
    reranker = Reranker(scorer=Fallback(first, second, third))
    reranker.warm_up()
    assert [first.warm, second.warm, third.warm] == [1, 0, 0]
    first.error = down()
    reranker.warm_up()
    assert [first.warm, second.warm, third.warm] == [2, 1, 0]
    assert len(caplog.messages) == 1
    second.error, third.error = OSError("no disk"), OSError("no memory")
    for _ in range(2):
        with pytest.raises(ConnectionError, match="is down") as raised:
            reranker.warm_up()
        # The same error object, both times.
        assert len(raised.value.__notes__) == 2


def test_a_model_that_is_not_there_is_a_failure(tmp_path: Path, tiny: Path) -> None:
    missing = Local(tmp_path / "nowhere", backend="onnx")
    scorer = Fallback(missing, Local(tiny, backend="onnx"))
    ranking = Reranker(scorer=pickle.loads(pickle.dumps(scorer))).rank("a", ["bad", "good"])
    assert ([each.index for each in ranking], ranking.status) == ([1, 0], "fallback")
    with pytest.raises(ModelNotFoundError):
        Reranker(scorer=Fallback(missing, missing)).warm_up()


def test_a_fallback_has_something_to_fall_back_to() -> None:
    with pytest.raises(InvalidRequestError, match="got one alone"):
        Fallback(Numbers())
    with pytest.raises(InvalidRequestError, match="scorer 2 of a Fallback"):
        Fallback(Numbers(), "resift-small")  # type: ignore[arg-type]
