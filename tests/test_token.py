"""A token for the hub: it arrives there, and nowhere else."""

from __future__ import annotations

import copy
import logging
import pickle
import re
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import hub_server
import pytest
from hub_client import BEST, Client, order

from resift import InvalidRequestError, Reranker
from resift.given import resolved

TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"


def authorizations(hub: hub_server.Hub) -> set[str | None]:
    """The authorizations sent to the hub itself, without those to the host of its blobs."""
    found = [(path, headers) for path, headers in hub.headers if "/acme/" in path]
    assert found
    return {
        headers.get("authorization") for path, headers in found if not path.startswith("/blobs/")
    }


def test_a_token_is_sent_to_the_hub(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    hub.commit("acme/tiny", files)
    (outcome,) = client.rank({"model": "acme/tiny", "token": TOKEN})
    assert order(outcome) == BEST
    assert authorizations(hub) == {f"Bearer {TOKEN}"}
    # Blobs are on another host, which isn't to have it.
    blobs = [headers for path, headers in hub.headers if path.startswith("/blobs/")]
    assert blobs
    assert not any("authorization" in headers for headers in blobs)


def test_without_a_token_none_is_sent(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    hub.commit("acme/tiny", files)
    client.rank({"model": "acme/tiny"}, {"model": "acme/tiny", "token": None})
    assert authorizations(hub) == {None}


def test_the_environments_token_is_sent_where_none_is_given(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    hub.commit("acme/tiny", files)
    client.rank({"model": "acme/tiny"}, HF_TOKEN="hf_environment")
    assert authorizations(hub) == {"Bearer hf_environment"}
    hub.headers.clear()
    client.rank({"model": "acme/tiny", "token": TOKEN}, HF_TOKEN="hf_environment")
    assert authorizations(hub) == {f"Bearer {TOKEN}"}


def test_errors_and_logs_do_not_show_the_token(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    hub.commit("acme/gated", files)
    hub.repositories["acme/gated"].gated = True
    hub.commit("acme/tiny", files)
    client.rank({"model": "acme/tiny", "token": TOKEN})
    hub.broken = re.compile("/api/models/acme/tiny")
    models = ["acme/gated", "acme/unknown", "acme/tiny"]
    program = (
        "import logging, sys, traceback; logging.basicConfig(level='DEBUG')\n"
        "from resift import Reranker\n"
        "token, *models = sys.argv[1:]\n"
        "for model in models:\n"
        "    try: print(Reranker(model, token=token).rank('a', ['b']))\n"
        "    except Exception: print(traceback.format_exc())\n"
        "    print('<end>')\n"
    )
    for status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.INTERNAL_SERVER_ERROR):
        hub.status = status
        done = client.run("-c", program, TOKEN, *models)
        gated, unknown, tiny, _ = done.stdout.split("<end>")
        assert "ModelNotFoundError" in gated
        assert "ModelNotFoundError" in unknown
        assert "Ranking(" in tiny or "Error" in tiny
        assert TOKEN not in done.stdout + done.stderr


@pytest.mark.parametrize("token", [TOKEN, lambda: TOKEN], ids=["str", "function"])
def test_the_token_is_not_shown_kept_or_pickled(
    token: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reranker = Reranker(token=token)
    reranker.rank("a", ["b"])
    assert "token" not in reranker.options
    for shown in (repr(reranker), repr(reranker._load_options), caplog.text):
        assert TOKEN not in shown
    # That a function can't be pickled would be seen here too.
    pickled = pickle.dumps(reranker)
    assert TOKEN.encode() not in pickled
    assert pickle.loads(pickled).options == reranker.options
    assert copy.deepcopy(reranker) is reranker
    assert replace(reranker._load_options, model="x").token is token


@pytest.mark.parametrize("wrong", ["", " ", "a b", "line\n", "ü", b"bytes", 5, ["hf"]], ids=repr)
def test_a_token_that_cannot_be_sent_is_refused_without_being_shown(wrong: Any) -> None:
    for make in (lambda: Reranker(token=wrong), lambda: resolved(lambda: wrong)):
        with pytest.raises(InvalidRequestError, match="token must be") as caught:
            make()
        assert repr(wrong) not in str(caught.value)


def test_a_token_function_is_called_only_for_downloads(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    asked: list[int] = []

    def token() -> None:
        asked.append(1)

    Reranker(token=token).rank("a", ["b"])
    assert asked == []

    hub.commit("acme/tiny", files)
    program = (
        "from resift import Reranker; "
        f"print(Reranker('acme/tiny', token=lambda: {TOKEN!r}).rank('a', ['b']).model)"
    )
    assert client.run("-c", program).stdout.strip() == "acme/tiny"
    assert authorizations(hub) == {f"Bearer {TOKEN}"}
