"""The properties of every scorer, for models behind servers, and scorers around them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import httpx
import pytest
from numbers_scorer import Numbers
from remote.loopback import Loopback, serve

from resift import Reranker
from resift.protocols import PROTOCOLS
from resift.scoring import Cached, Fallback, Remote, Scorer
from resift.testing import ScorerContract

CERTIFICATES = httpx.create_ssl_context()


class Client:
    """Makes clients that don't read the certificates again, as that takes most of a test's time."""

    def __call__(self) -> httpx.Client:
        return httpx.Client(verify=CERTIFICATES)

    def __repr__(self) -> str:
        return "Client()"


def remote(server: Loopback) -> Remote:
    model = "m" if PROTOCOLS[server.shape].needs_model else None
    return Remote(server.url, protocol=server.shape, model=model, client=Client())


class Contract(ScorerContract):
    query = "q"
    texts = ("1", "9", "5", "7", "3", "-2", "8")
    shape: str

    @pytest.fixture(autouse=True)
    def _served(self) -> Iterator[None]:
        with serve(self.shape) as self.server:
            yield

    def build(self) -> Scorer:
        return remote(self.server)


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
        return Fallback(Numbers(error=OSError("down")), remote(self.server))


def test_a_server_that_is_down_falls_back(caplog: pytest.LogCaptureFixture) -> None:
    with serve("tei") as server:
        scorer = Fallback(remote(server), Numbers())
    with caplog.at_level(logging.WARNING, "resift"):
        ranking = Reranker(scorer=scorer).rank("q", ["1", "2"])
    assert (ranking.model, ranking.status) == ("numbers", "fallback")
    assert "RemoteUnavailableError" in caplog.text


def test_nobody_knows_what_a_server_runs(caplog: pytest.LogCaptureFixture) -> None:
    with serve("tei") as server:
        reranker = Reranker(scorer=Cached(remote(server)))
        assert [reranker.rank("q", ["1", "2"]).counts.cached for _ in range(2)] == [0, 0]
        assert len(server.bodies) == 2
    assert "has no digest" in caplog.text
