"""Addresses, paths and keys of a server's protocol, and what it can't say."""

from __future__ import annotations

from typing import Any

import pytest
from rankings import order
from remote.calling import TEXTS, client, remote
from remote.loopback import Loopback, TestClock, serve

from resift import InvalidRequestError, Reranker
from resift.protocols import PROTOCOLS
from resift.scoring import Remote


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


def test_more_keys_are_sent() -> None:
    with serve("vllm") as server:
        scorer = remote(server, model="m", extra={"instruction": "find", "priority": 1})
        Reranker(scorer=scorer).rank("q", ["1"])
        assert (server.bodies[0]["instruction"], server.bodies[0]["priority"]) == ("find", 1)
        assert "find" not in repr(scorer)


def test_a_shape_of_ones_own(tei: Loopback) -> None:
    class Mine(type(PROTOCOLS["tei"])):  # type: ignore[misc]
        name = "mine"

    scorer = Remote(tei.url, protocol=Mine(), clock=TestClock())
    assert Reranker(scorer=scorer).rank("q", ["1"]).backend == "mine"
