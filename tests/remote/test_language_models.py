"""Language models that order documents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rankings import order
from remote.calling import remote
from remote.loopback import Loopback, serve

from resift import InvalidRequestError, Reranker


@pytest.fixture
def model() -> Iterator[Loopback]:
    """A language model that orders numbers."""
    with serve("openai-listwise") as loopback:
        yield loopback


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
