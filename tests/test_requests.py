"""Requests and attributes of the engine that can't be, each refused by name before the model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resift import InvalidRequestError, Reranker, RerankerOptions

DOCUMENTS = ["bad", "good"]


@pytest.fixture
def unloadable() -> Reranker:
    """A reranker that raises ``ModelError`` if it ever looks for its model."""
    return Reranker("nobody/nothing", offline=True)


@pytest.mark.parametrize(
    "wrong",
    ["ab", None, 5, ("a",), ("a", DOCUMENTS, 3), {"a": 1, "b": 2}, {"a", "b"}],
    ids=repr,
)
def test_an_invalid_request_is_refused_by_index(unloadable: Reranker, wrong: Any) -> None:
    requests: list[Any] = [("a", DOCUMENTS), wrong]
    for call in (unloadable.rank_many, unloadable.score_many):
        with pytest.raises(InvalidRequestError, match=r"requests\[1\] must be a pair"):
            call(requests)
    for acall in (unloadable.arank_many, unloadable.ascore_many):
        with pytest.raises(InvalidRequestError, match=r"requests\[1\] must be a pair"):
            asyncio.run(acall(iter(requests)))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ((" ", DOCUMENTS), "requests[1]: query must not be empty"),
        (("a", None), "requests[1]: documents must be"),
        (("a", "text"), "requests[1]: documents must be"),
        (("a", ["a", 5]), "requests[1]: documents[1] must be"),
    ],
    ids=str,
)
def test_an_error_in_a_request_names_its_index(unloadable: Reranker, wrong: Any, said: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        unloadable.rank_many([("a", DOCUMENTS), wrong])
    assert str(caught.value).startswith(said)
    with pytest.raises(InvalidRequestError) as alone:
        unloadable.rank(*wrong)
    assert str(alone.value) == str(caught.value).removeprefix("requests[1]: ")


@pytest.mark.parametrize("wrong", [None, "ab", b"ab", 5, {"a": DOCUMENTS}], ids=repr)
def test_requests_that_are_no_list_are_refused(unloadable: Reranker, wrong: Any) -> None:
    for call in (unloadable.rank_many, unloadable.score_many):
        with pytest.raises(InvalidRequestError, match="requests must be"):
            call(wrong)


def test_requests_and_their_documents_are_read_once(tiny: Path) -> None:
    reranker = Reranker(tiny)
    expected = [ranking.results for ranking in reranker.rank_many([("a", DOCUMENTS)] * 2)]

    def requests() -> Iterator[tuple[str, Iterator[str]]]:
        for _ in range(2):
            yield "a", iter(DOCUMENTS)

    assert [ranking.results for ranking in reranker.rank_many(requests())] == expected


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("top_n", r"rank\(…, top_n=…\)"),
        ("score_threshold", "rank"),
        ("normalization", "rank"),
        ("observer", "rank"),
        *((name, "make a new one") for name in ("model", "threads", "offline", "token")),
        ("topn", "no such option"),
        ("batch_size", "no such option"),
    ],
)
def test_assigning_an_attribute_is_refused(tiny: Path, name: str, advice: str) -> None:
    reranker = Reranker(tiny)
    before = reranker.options
    with pytest.raises(InvalidRequestError, match=f"{name} can't be assigned.*{advice}"):
        setattr(reranker, name, 1)
    assert reranker.options == before
    assert not hasattr(reranker, name)


def test_every_option_is_refused_as_an_attribute() -> None:
    reranker = Reranker()
    for name in RerankerOptions.__annotations__:
        with pytest.raises(InvalidRequestError, match=name):
            setattr(reranker, name, None)


def test_methods_can_be_replaced_and_subclasses_have_attributes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Counting(Reranker):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

    counting = Counting()
    counting.calls += 1
    assert counting.calls == 1
    with pytest.raises(InvalidRequestError, match="model"):
        counting.model = "x"  # type: ignore[attr-defined]
    reranker = Reranker()
    patched: Any = lambda *_: "patched"  # noqa: E731
    monkeypatch.setattr(reranker, "rank", patched)
    assert reranker.rank is patched
