"""Scores of servers: logits, or values on a scale of their own."""

from __future__ import annotations

from typing import Any

import pytest
from rankings import order
from remote.calling import LOGITS, OWN, remote
from remote.loopback import serve

from resift import InvalidRequestError, Reranker
from resift.protocols import PROTOCOLS


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
