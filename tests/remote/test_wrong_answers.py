"""Answers of a server that can't be relied on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from rankings import order
from remote.calling import remote
from remote.faults import NAMES, QUERY, TEXTS, items_of, ranked, with_value
from remote.loopback import Fault, Loopback, Reply, TestClock, changed, serve

from resift import RemoteError, Reranker, ResiftError

GARBAGE: list[Fault] = [
    lambda _: Reply(b"<html>Welcome</html>"),
    lambda _: Reply(b""),
    lambda _: Reply(b"\xff\xfe\x00"),
    lambda _: Reply(b"[" * 100_000),
    lambda _: Reply(b'{"results": "none"}'),
    lambda _: Reply(b"[1, 2]"),
    lambda _: Reply(b"null"),
    lambda _: Reply(b"not gzip", headers={"Content-Encoding": "gzip"}),
    lambda _: Reply(b"{}", 204, {"Content-Length": "0"}),
]


@pytest.mark.parametrize("fault", GARBAGE)
def test_garbage_is_an_error(server: Loopback, fault: Fault) -> None:
    server.always = fault
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1"):
        ranked(server, clock=TestClock())


def _without(said: Any) -> Any:
    del items_of(said)[1]
    return said


def _twice(said: Any) -> Any:
    items = items_of(said)
    items.append(items[0])
    return said


WRONG: dict[str, Callable[[Any], Any]] = {
    "another index": with_value(0, index=1),
    "an index out of range": with_value(0, index=3),
    "an index below 0": with_value(0, index=-1),
    "an index that is a string": with_value(0, index="0"),
    "an index that is a bool": with_value(0, index=True),
    "no index": with_value(0, index=None),
    "NaN": with_value(0, score=float("nan")),
    "infinity": with_value(0, score=float("inf")),
    "a score that is a string": with_value(0, score="0.5"),
    "one twice": _twice,
    "one missing": _without,
}


@pytest.mark.parametrize(
    ("shape", "wrong"),
    [
        (shape, wrong)
        for shape in NAMES
        for wrong in WRONG
        # The one has no scores, the others no indices.
        if shape != "openai-listwise"
        and not (shape in ("weaviate", "kserve-v2") and "index" in wrong)
    ],
)
def test_answers_are_checked(shape: str, wrong: str) -> None:
    with serve(shape) as server:
        server.always = changed(WRONG[wrong])
        with pytest.raises(RemoteError, match="can't be relied on"):
            ranked(server, clock=TestClock())
        assert len(server.bodies) == 1


def test_a_large_number_is_no_logit(tei: Loopback) -> None:
    tei.always = changed(with_value(0, score=1e300))
    with pytest.raises(ResiftError):
        ranked(tei)


def _write(content: str) -> Fault:
    def write(said: Any) -> Any:
        said["choices"][0]["message"]["content"] = content
        return said

    return changed(write)


def test_orders_are_repaired_and_counted() -> None:
    with serve("openai-listwise") as server:
        server.faults = [_write("[3] > [3] > [7]")]
        reranker = Reranker(scorer=remote(server))
        ranking = reranker.rank(QUERY, TEXTS)
        assert order(ranking) == [2, 0, 1]
        assert ranking.counts.repairs == 4
        server.always = _write("I would rather not.")
        with pytest.raises(RemoteError, match="order"):
            reranker.rank(QUERY, TEXTS)


def test_json_that_is_too_large_is_refused(tei: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resift.scoring.remote.server._LARGEST", 1000)
    tei.always = lambda _: Reply(json.dumps(["x" * 2000]).encode())
    with pytest.raises(RemoteError, match="more than 1000 bytes"):
        ranked(tei)
