"""``Remote`` against a server of each wire shape: scores, splitting, options, several callers."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from remote.loopback import Loopback, TestClock, serve

from resift import (
    BackendUnavailableError,
    InvalidRequestError,
    Observer,
    Ranking,
    Reranker,
)
from resift.protocols import PROTOCOLS, Limits
from resift.scoring import Cascade, Margin, Remote

TEXTS = ["1", "9", "5", "7", "3", "-2", "8"]
LOGITS = ["resift", "tei", "vllm", "vllm-score", "infinity", "kserve-v2"]
OWN = ["cohere", "cohere-v1", "jina", "voyage", "weaviate"]


CERTIFICATES = httpx.create_ssl_context()


def client() -> httpx.Client:
    """A client that doesn't read the certificates again, as that takes most of a test's time."""
    return httpx.Client(verify=CERTIFICATES)


def remote(server: Loopback, **options: Any) -> Remote:
    model = "m" if PROTOCOLS[server.shape].needs_model else None
    given = {"model": model, "client": client, **options}
    return Remote(server.url, protocol=server.shape, **given)


def order(ranking: Ranking) -> list[int]:
    return [each.index for each in ranking]


@pytest.fixture(params=[*LOGITS, *OWN])
def server(request: pytest.FixtureRequest) -> Iterator[Loopback]:
    with serve(request.param) as loopback:
        yield loopback


@pytest.fixture
def tei() -> Iterator[Loopback]:
    with serve("tei") as loopback:
        yield loopback


@pytest.fixture
def model() -> Iterator[Loopback]:
    """A language model that orders numbers."""
    with serve("openai-listwise") as loopback:
        yield loopback


def test_documents_come_in_the_servers_order(server: Loopback) -> None:
    ranking = Reranker(scorer=remote(server)).rank("q", [*TEXTS, "9"])
    assert order(ranking) == [1, 7, 6, 3, 2, 4, 0, 5]
    assert (ranking.backend, ranking.status) == (server.shape, "complete")
    assert ranking.counts.pairs == 7
    top = Reranker(scorer=remote(server)).rank("q", TEXTS, top_n=2)
    assert order(top) == [1, 6]


@pytest.mark.parametrize("shape", LOGITS)
def test_logits_are_asked_for_where_a_server_gives_them(shape: str) -> None:
    with serve(shape) as server:
        reranker = Reranker(scorer=remote(server))
        ranking = reranker.rank("q", ["0", "2"])
        assert [each.logit for each in ranking] == [2.0, 0.0]
        assert [each.score for each in ranking] == pytest.approx([0.880797, 0.5])
        assert ranking.scale == "logit"
        assert reranker.score("q", ["0", "2"], normalization="none") == [0.0, 2.0]


@pytest.mark.parametrize("shape", OWN)
def test_scores_of_its_own_scale_are_kept(shape: str) -> None:
    with serve(shape) as server:
        reranker = Reranker(scorer=remote(server))
        ranking = reranker.rank("q", ["0", "40", "41"], score_threshold=0.6)
        assert sorted(order(ranking)) == [1, 2]
        assert [each.logit for each in ranking] == [None, None]
        assert [each.posterior for each in ranking] == [None, None]
        assert ranking.scale == PROTOCOLS[shape].scale
        assert reranker.score("q", ["0"]) == [0.5]
        assert Reranker(**reranker.options).score("q", ["0"]) == [0.5]


def test_near_scores_keep_their_order() -> None:
    with serve("cohere") as server:
        ranking = Reranker(scorer=remote(server)).rank("q", ["20", "21", "22"])
        # In float32, the last two would be equal, and 1.
        assert order(ranking) == [2, 1, 0]
        assert all(each.score is not None and each.score < 1 for each in ranking)


@pytest.mark.parametrize("normalization", ["sigmoid", "minmax", "softmax"])
def test_no_sigmoid_over_a_sigmoid(normalization: Any) -> None:
    with serve("cohere") as server:
        reranker = Reranker(scorer=remote(server))
        with pytest.raises(InvalidRequestError, match=r"'cohere'.*normalization='none'"):
            reranker.rank("q", ["1"], normalization=normalization)
        made = Reranker(scorer=remote(server), normalization=normalization)
        with pytest.raises(InvalidRequestError, match="normalization"):
            made.rank("q", ["1"])
        with pytest.raises(InvalidRequestError, match="prior"):
            reranker.rank("q", ["1"], prior=0.5)
        assert order(reranker.rank("q", ["1", "2"], prior="auto")) == [1, 0]


def test_the_scale_can_be_said() -> None:
    with serve("jina") as server:
        ranking = Reranker(scorer=remote(server, scale="logit")).rank("q", ["0", "2"])
        assert (ranking.scale, ranking[1].logit) == ("logit", 0.5)
    with serve("vllm") as server:
        ranking = Reranker(scorer=remote(server, scale="vllm")).rank("q", ["0", "2"])
        assert (ranking.scale, ranking[1].score) == ("vllm", 0.5)
        assert "use_activation" not in server.bodies[0]


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


def test_a_model_of_triton_has_a_path_of_its_own() -> None:
    with serve("kserve-v2") as server:
        server.about = {
            "output": [{"name": "logits"}],
            "parameters": {
                "revision": {"string_value": "0.5.0"},
                "max_documents": {"string_value": "4"},
            },
        }
        for end in ("", "/v2", "/v2/models/a%20b/infer"):
            scorer = Remote(server.url + end, protocol="kserve-v2", model="a b", client=client)
            ranking = Reranker(scorer=scorer).rank("q", TEXTS)
            assert (ranking.model, ranking.revision) == ("a b", "0.5.0")
        paths = ["/v2/models/a%20b/config", *["/v2/models/a%20b/infer"] * 2] * 3
        assert server.paths == paths
        assert sorted(body["inputs"][1]["shape"][1] for body in server.bodies[:2]) == [3, 4]
        Reranker(scorer=scorer).rank("q", ["1"], deadline_ms=60_000)
        # No answer comes later than the caller waits, and no error sooner.
        assert 59_000_000 < server.bodies[-1]["parameters"]["timeout"] < 60_000_000


def test_listwise_models_are_not_split() -> None:
    with serve("jina") as server:
        scorer = remote(server, model="jina-reranker-v3", limits=Limits(documents=3))
        reranker = Reranker(scorer=scorer)
        with pytest.raises(InvalidRequestError, match="can't be split"):
            reranker.rank("q", TEXTS)
        assert server.bodies == []
        assert order(reranker.rank("q", TEXTS[:3])) == [1, 2, 0]


def test_a_resift_server_says_all_that_it_knows() -> None:
    with serve("resift") as server:
        ranking = Reranker(scorer=remote(server)).rank("q", TEXTS)
        assert (ranking.model, ranking.revision, ranking.precision) == ("numbers", "7", "fp32")
        assert (ranking.counts.tokens, ranking.counts.truncated_documents) == (7, 1)
        assert ranking[3].truncated_tokens == 1
        pruned = Reranker(scorer=remote(server)).rank("q", TEXTS, top_n=2, prune="auto")
        assert (order(pruned), pruned.counts.pruned_documents) == ([1, 6], 5)
        assert server.bodies[-1]["top_n"] == 2


def test_what_a_protocol_cannot_say_is_refused_before_it_is_sent(tei: Loopback) -> None:
    reranker = Reranker(scorer=remote(tei))
    for options in ({"max_length": 64}, {"long_documents": "windows"}):
        with pytest.raises(InvalidRequestError, match="protocol 'tei'"):
            reranker.rank("q", TEXTS, **options)
    assert tei.bodies == []
    with serve("vllm") as server:
        Reranker(scorer=remote(server)).rank("q", ["1"], max_length=64)
        assert server.bodies[0]["truncate_prompt_tokens"] == 64


def test_a_language_model_orders_a_sliding_window(model: Loopback) -> None:
    texts = [str(number) for number in (3, 1, 4, 15, 9, 2, 6, 5, 35, 8)]
    reranker = Reranker(scorer=remote(model, window=4, step=2))
    ranking = reranker.rank("q", texts, top_n=2)
    # From window to window, the best two move to the front.
    assert order(ranking) == [8, 3]
    assert [(each.score, each.logit, each.posterior) for each in ranking] == [(None,) * 3] * 2
    assert (ranking.scale, ranking.counts.repairs, ranking.counts.pairs) == ("order", 0, 16)
    assert len(model.bodies) == 4
    for options in ({"score_threshold": 0.5}, {"normalization": "sigmoid"}, {"prior": 0.5}):
        with pytest.raises(InvalidRequestError, match="order"):
            reranker.rank("q", texts, **options)
    with pytest.raises(InvalidRequestError, match="has no score"):
        reranker.score("q", texts)


def test_passages_for_a_language_model_are_cut(model: Loopback) -> None:
    texts = ["1 " + "word " * 400, "2"]
    ranking = Reranker(scorer=remote(model)).rank("q", texts)
    assert [(each.index, each.truncated_tokens) for each in ranking] == [(1, 0), (0, 101)]


def test_addresses_may_be_whole_or_not(tei: Loopback) -> None:
    for end in ("", "/", "/rerank", "/rerank/"):
        remote(tei).score([], _call())
        Reranker(scorer=Remote(tei.url + end, protocol="tei")).rank("q", ["1"])
    assert tei.paths.count("/rerank") == 4
    with serve("jina") as server:
        for end in ("", "/v1", "/v1/rerank", "/some/prefix", "/some/prefix/v1"):
            Reranker(scorer=Remote(server.url + end, protocol="jina", model="m")).rank("q", ["1"])
        prefixed = ["/some/prefix/v1/rerank"] * 2
        assert server.paths == ["/v1/rerank"] * 3 + prefixed


def _call() -> Any:
    from resift.call import Call
    from resift.options import RankOptions

    return Call.of(RankOptions())


def test_many_threads_share_connections(tei: Loopback) -> None:
    reranker = Reranker(scorer=remote(tei))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: order(reranker.rank("q", TEXTS)), range(40)))
    assert found == [order(reranker.rank("q", TEXTS))] * 40
    assert tei.connections <= 10


def test_a_fork_makes_connections_of_its_own(tei: Loopback) -> None:
    reranker = Reranker(scorer=remote(tei))
    expected = order(reranker.rank("q", TEXTS))
    before = tei.connections
    child = os.fork()
    if child == 0:
        os._exit(0 if order(reranker.rank("q", TEXTS)) == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert tei.connections > before
    assert order(reranker.rank("q", TEXTS)) == expected


def test_a_cancelled_call_sends_nothing_more(tei: Loopback) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def hold(reply: Any) -> Any:
        arrived.set()
        go_on.wait(5)
        return reply

    tei.faults = [hold]
    scorer = remote(tei, limits=Limits(documents=1), concurrency=1)

    async def main() -> None:
        task = asyncio.create_task(Reranker(scorer=scorer).arank("q", TEXTS))
        await asyncio.to_thread(arrived.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()

    asyncio.run(main())
    assert len(tei.bodies) <= 2


def test_a_cascade_may_end_far_away(tei: Loopback) -> None:
    from remote.loopback import Numbers

    reranker = Reranker(scorer=Cascade([Numbers(), remote(tei)], keep=[Margin(1.0)]))
    ranking = reranker.rank("q", TEXTS, top_n=2, prune="auto")
    assert order(ranking) == [1, 6]
    assert len(tei.bodies[0]["texts"]) == 3


def test_more_keys_are_sent() -> None:
    with serve("vllm") as server:
        scorer = remote(server, model="m", extra={"instruction": "find", "priority": 1})
        Reranker(scorer=scorer).rank("q", ["1"])
        assert (server.bodies[0]["instruction"], server.bodies[0]["priority"]) == ("find", 1)
        assert "find" not in repr(scorer)


def test_a_copy_is_an_equal_scorer_without_the_key(tei: Loopback) -> None:
    scorer = remote(tei, key="sk-secret", timeout=3.0, limits=Limits(documents=2))
    assert copy.deepcopy(scorer) is scorer
    again = pickle.loads(pickle.dumps(scorer))
    assert repr(again) == repr(scorer)
    assert "timeout=3.0" in repr(scorer)
    Reranker(scorer=again).rank("q", TEXTS)
    assert len(tei.bodies) == 4
    assert "authorization" not in tei.headers[0]


@pytest.mark.parametrize(
    "options",
    [
        {"url": "ftp://x"},
        {"url": "example.com"},
        {"url": 7},
        {"url": "http://me:pw@host"},
        {"url": "http://host:99999"},
        {"protocol": "kserve-v2"},
        {"protocol": "thrift"},
        {"protocol": None},
        {"protocol": "cohere"},
        {"timeout": 0},
        {"attempts": 0},
        {"concurrency": None},
        {"window": 4, "step": 5},
        {"key": "two words"},
        {"key": 7},
        {"model": ""},
        {"client": "http"},
    ],
    ids=str,
)
def test_invalid_options_are_refused(options: dict[str, Any]) -> None:
    given = {"url": "http://127.0.0.1:9", "protocol": "tei", **options}
    with pytest.raises(InvalidRequestError) as raised:
        Remote(given.pop("url"), **given)
    assert "pw" not in str(raised.value)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resift.scoring.remote.server.find_spec", lambda name: None)
    with pytest.raises(BackendUnavailableError, match=r"pip install 'resift\[remote\]'"):
        Remote("http://127.0.0.1:9", protocol="tei")


def test_a_shape_of_ones_own(tei: Loopback) -> None:
    class Mine(type(PROTOCOLS["tei"])):  # type: ignore[misc]
        name = "mine"

    scorer = Remote(tei.url, protocol=Mine(), clock=TestClock())
    assert Reranker(scorer=scorer).rank("q", ["1"]).backend == "mine"
