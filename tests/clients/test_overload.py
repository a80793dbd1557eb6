"""Real clients when the server has no room for them: 429, and a time to come again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from clients.conftest import PER_MINUTE
from clients.environments import Caller
from clients.expected import CLIENTS, QUERY, Client
from server.running import PATIENCE, until

from resift.testing import TEXTS

Busy = Callable[[], tuple[Any, str]]

# The SDK waits as long as it is told, up to half a minute in one version and a whole in another.
RETRYING = [each for each in CLIENTS if each.overloaded == "TooManyRequestsError"]
WAITING = [each for each in RETRYING if each.call in ("cohere_sdk.v1", "cohere_sdk.v2")]
OTHERS = [each for each in CLIENTS if each not in RETRYING]


def exhaust(server: Any, key: str) -> None:
    """Send all that a key may send in a minute."""
    answer = httpx.post(
        f"{server.address}/rerank",
        json={"query": QUERY, "texts": ["x"] * PER_MINUTE},
        headers={"authorization": f"Bearer {key}"},
        timeout=PATIENCE,
    )
    assert answer.status_code == 200


def statuses(server: Any, key: str) -> list[int]:
    """The statuses of the answers to a key, in their order, from the server's log."""
    # Whatever was logged before this request is there when its line is.
    headers = {"authorization": f"Bearer {key}"}
    last = httpx.get(f"{server.address}/info", headers=headers, timeout=PATIENCE)
    until(lambda: last.headers["x-request-id"] in "".join(list(server.lines)))
    name = key.removeprefix("a-key-of-")
    lines = [json.loads(line) for line in list(server.lines)]
    asked = [each for each in lines if each.get("key") == name and "/info" not in each["message"]]
    return [int(each["message"].split()[-1]) for each in asked]


@pytest.mark.parametrize("client", WAITING, ids=str)
def test_clients_come_again_when_they_are_told_to(
    client: Client, caller: Callable[[str], Caller], busy: Busy
) -> None:
    server, key = busy()
    asked = {"url": server.address, "query": QUERY, "key": key}
    # Whatever is slow the first time.
    caller(client.environment)(client.call, documents=["x"], **{**asked, "key": busy()[1]})
    exhaust(server, key)
    outcome = caller(client.environment)(client.call, documents=TEXTS[:4], **asked)
    assert outcome.error is None, outcome.message
    assert outcome.found[0][0] == 0
    # Four pairs are free again in four seconds, or what is left of them.
    assert outcome.seconds > 2
    assert statuses(server, key) == [200, 429, 200]


@pytest.mark.parametrize("client", OTHERS, ids=str)
def test_overload_is_the_clients_own_error(
    client: Client, caller: Callable[[str], Caller], busy: Busy
) -> None:
    server, key = busy()
    exhaust(server, key)
    outcome = caller(client.environment)(
        client.call, url=server.address, query=QUERY, key=key, documents=list(TEXTS) * 7
    )
    assert outcome.error == client.overloaded
    assert ("come again later" in outcome.message) == client.says_why
    # Never a 503: LlamaIndex's client of Cohere would ask ten times.
    assert set(statuses(server, key)) == {200, 429}
