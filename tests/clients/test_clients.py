"""Real clients of other rerankers, against the server: the engine's own order and scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from clients.conftest import MOST
from clients.environments import Caller, Outcome
from clients.expected import CLIENTS, KEY, QUERY, Client

from resift import Reranker
from resift.testing import HOSTILE_TEXTS, TEXTS

Call = Callable[..., Outcome]

# Clients encode UTF-8, which has no lone surrogates.
MIXED = [
    *TEXTS,
    *(text for text in HOSTILE_TEXTS if text.isascii() or "surrogate" not in text),
    'quotes " and \\ and <b>&amp;</b>\u2028',
    "naïve café — 日本語",
    f"Sort a dictionary{' and so on' * 1000}",
    TEXTS[0],
    "",
]
MANY = [f"Sort dictionary {place}." for place in range(300)]


@pytest.fixture(params=CLIENTS, ids=str)
def client(request: pytest.FixtureRequest) -> Client:
    found: Client = request.param
    return found


@pytest.fixture
def call(client: Client, caller: Callable[[str], Caller], server: Any) -> Call:
    """Calls the client with what is given in place of the defaults."""
    process = caller(client.environment)
    return lambda documents, **asked: process(
        client.call,
        **{"url": server.address, "query": QUERY, "documents": documents, "key": KEY, **asked},
    )


@pytest.mark.parametrize(
    ("documents", "top_n"),
    [
        pytest.param(MIXED, None, id="mixed"),
        pytest.param(MIXED, 3, id="best-of-mixed"),
        pytest.param(MANY, None, id="many"),
        pytest.param(TEXTS[:1], None, id="one"),
    ],
)
def test_order_and_scores_are_the_engines(
    documents: Sequence[str], top_n: int | None, call: Call, reranker: Reranker
) -> None:
    outcome = call(list(documents), top_n=top_n)
    assert outcome.error is None, outcome.message
    _check(outcome, documents, reranker, top_n=top_n)


def test_documents_come_back(client: Client, call: Call, reranker: Reranker) -> None:
    outcome = call(MIXED, return_documents=True)
    assert outcome.error is None, outcome.message
    _check(outcome, MIXED, reranker)
    # LiteLLM takes an empty text for none.
    for index, _, text in outcome.found:
        assert (text or "") == ("" if client.texts == "none" else MIXED[index])


def test_a_wrong_key_is_the_clients_own_error(client: Client, call: Call) -> None:
    outcome = call(TEXTS[:2], key="a-wrong-key")
    assert outcome.error == client.unauthorized
    assert ("the key isn" in outcome.message) == client.says_why


def test_too_many_documents_are_the_clients_own_error(client: Client, call: Call) -> None:
    outcome = call(["x"] * (MOST + 1))
    assert outcome.error == client.too_large
    said = f"{MOST + 1} documents are more than the {MOST} that are accepted"
    assert (said in outcome.message) == client.says_why


def test_logits_are_given_where_they_are_asked_for(
    caller: Callable[[str], Caller], server: Any, reranker: Reranker
) -> None:
    outcome = caller("shared")(
        "in_haystack.tei_raw", url=server.address, query=QUERY, documents=MIXED, key=KEY
    )
    _check(outcome, MIXED, reranker, normalization="none")


def _check(outcome: Outcome, documents: Any, reranker: Reranker, **options: Any) -> None:
    wanted = reranker.rank(QUERY, documents, **options)
    assert [index for index, _, _ in outcome.found] == [each.index for each in wanted]
    scores = [score for _, score, _ in outcome.found]
    assert scores == pytest.approx([each.score for each in wanted], abs=1e-6)
