"""Requests that are split for a server, and put together in its order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rankings import order
from remote.calling import LOGITS, OWN, TEXTS, remote
from remote.loopback import Loopback, serve

from resift import InvalidRequestError, Observer, Reranker
from resift.protocols import Limits


# Those that give scores.
@pytest.fixture(params=[*LOGITS, *OWN])
def server(request: pytest.FixtureRequest) -> Iterator[Loopback]:
    with serve(request.param) as loopback:
        yield loopback


def test_documents_come_in_the_servers_order(server: Loopback) -> None:
    ranking = Reranker(scorer=remote(server)).rank("q", [*TEXTS, "9"])
    assert order(ranking) == [1, 7, 6, 3, 2, 4, 0, 5]
    assert (ranking.backend, ranking.status) == (server.shape, "complete")
    assert ranking.counts.pairs == 7
    top = Reranker(scorer=remote(server)).rank("q", TEXTS, top_n=2)
    assert order(top) == [1, 6]


def test_requests_are_split_and_put_together(server: Loopback) -> None:
    limited = remote(server, limits=Limits(documents=3))
    seen: list[tuple[int, int]] = []

    class Watcher(Observer):
        def progress(self, done: int, total: int) -> None:
            seen.append((done, total))

    reranker = Reranker(scorer=limited)
    rankings = reranker.rank_many([("q", TEXTS), ("r", []), ("s", ["2", "4"])], observer=Watcher())
    assert [order(each) for each in rankings] == [[1, 6, 3, 2, 4, 0, 5], [], [1, 0]]
    assert len(server.bodies) == (3 if server.shape == "resift" else 4)
    assert (seen[0], seen[-1]) == ((0, 9), (9, 9))


def test_requests_are_split_by_size(tei: Loopback) -> None:
    limits = Limits(body=2_000)
    texts = [f"{number} {'ü' * 300}" for number in range(10)]
    ranking = Reranker(scorer=remote(tei, limits=limits)).rank("q", texts)
    assert order(ranking) == list(reversed(range(10)))
    assert [len(body["texts"]) for body in tei.bodies].count(3) == 3
    assert len(tei.bodies) == 4


def test_tei_says_what_it_takes(tei: Loopback) -> None:
    tei.about = {
        "model_id": "bge",
        "model_sha": "abc",
        "model_dtype": "float16",
        "model_type": {"reranker": {}},
        "max_client_batch_size": 2,
    }
    reranker = Reranker(scorer=remote(tei))
    ranking = reranker.rank("q", TEXTS)
    assert sorted(len(body["texts"]) for body in tei.bodies) == [1, 2, 2, 2]
    assert (ranking.model, ranking.revision, ranking.precision) == ("bge", "abc", "float16")
    reranker.rank("q", TEXTS)
    assert tei.paths.count("/info") == 1


def test_tei_that_says_nothing_gets_32_at_a_time(tei: Loopback) -> None:
    Reranker(scorer=remote(tei)).rank("q", map(str, range(70)))
    assert sorted(len(body["texts"]) for body in tei.bodies) == [6, 32, 32]
    assert all(body["truncate"] and body["raw_scores"] for body in tei.bodies)
    assert tei.headers[0].get("authorization") is None


def test_listwise_models_are_not_split() -> None:
    with serve("jina") as server:
        scorer = remote(server, model="jina-reranker-v3", limits=Limits(documents=3))
        reranker = Reranker(scorer=scorer)
        with pytest.raises(InvalidRequestError, match="can't be split"):
            reranker.rank("q", TEXTS)
        assert server.bodies == []
        assert order(reranker.rank("q", TEXTS[:3])) == [1, 2, 0]
