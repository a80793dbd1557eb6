"""The properties of every scorer, for models behind servers, and scorers around them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import httpx
import pytest
from numbers_scorer import Numbers
from remote.calling import client, remote
from remote.loopback import serve

from resift import Reranker
from resift.scoring import Cached, Fallback, Scorer
from resift.testing import ScorerContract


class Client:
    """Makes clients, and looks the same in each process."""

    def __call__(self) -> httpx.Client:
        return client()

    def __repr__(self) -> str:
        return "Client()"


class Contract(ScorerContract):
    query = "q"
    texts = ("1", "9", "5", "7", "3", "-2", "8")
    shape: str

    @pytest.fixture(autouse=True)
    def _served(self) -> Iterator[None]:
        with serve(self.shape) as self.server:
            yield

    def build(self) -> Scorer:
        return remote(self.server, client=Client())


class TestLogits(Contract):
    shape = "tei"


class TestOwnScale(Contract):
    shape = "cohere"


class TestListwise(Contract):
    shape = "openai-listwise"
    tolerance = 100.0  # what it gives is an order, which depends on the others


class TestFallenBack(Contract):
    shape = "tei"

    def build(self) -> Scorer:
        return Fallback(Numbers(error=OSError("down")), remote(self.server, client=Client()))


def test_a_server_that_is_down_falls_back(caplog: pytest.LogCaptureFixture) -> None:
    with serve("tei") as server:
        scorer = Fallback(remote(server, client=Client()), Numbers())
    with caplog.at_level(logging.WARNING, "resift"):
        ranking = Reranker(scorer=scorer).rank("q", ["1", "2"])
    assert (ranking.model, ranking.status) == ("numbers", "fallback")
    assert "RemoteUnavailableError" in caplog.text


def test_nobody_knows_what_a_server_runs(caplog: pytest.LogCaptureFixture) -> None:
    with serve("tei") as server:
        reranker = Reranker(scorer=Cached(remote(server, client=Client())))
        assert [reranker.rank("q", ["1", "2"]).counts.cached for _ in range(2)] == [0, 0]
        assert len(server.bodies) == 2
    assert "has no digest" in caplog.text
