"""Keys of a server's clients."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from numbers_scorer import Numbers
from server.limits.holding import BODY, Held
from server.running import Serve, until

from resift import InvalidRequestError
from resift.server.keys import VARIABLE, Keys
from resift.server.settings import Settings

KEYS = {"ann": "a-key-for-ann", "ben": "another-key-for-ben"}


def with_keys(tmp_path: Path, **more: Any) -> dict[str, Any]:
    file = tmp_path / "keys"
    lines = ["# clients", "", *(f"{name} = {key}" for name, key in KEYS.items())]
    file.write_text("\n".join(lines), encoding="utf-8")
    return {"keys_file": str(file), **more}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_every_route_but_health_and_the_page_needs_a_key(tmp_path: Path, serve: Serve) -> None:
    client = serve(Numbers(), settings=with_keys(tmp_path))
    routes = client.server.app._app.routes  # type: ignore[attr-defined]
    assert len(routes) > 30
    for route in routes:
        (method,) = route.methods - {"HEAD"}
        path = route.path.replace("{name}", "page.js")
        answer = client.request(method, path, json=BODY)
        is_open = path.startswith(("/health", "/ping", "/.well-known", "/page/")) or (
            path == "/" and method == "GET"
        )
        assert (answer.status_code == 401) is not is_open, path
        if not is_open:
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [{}, bearer("wrong-key-entirely"), {"authorization": "a-key-for-ann"}, bearer("ü")],
)
def test_wrong_keys_are_refused_and_not_shown(
    headers: dict[str, str], tmp_path: Path, serve: Serve
) -> None:
    client = serve(Numbers(), settings=with_keys(tmp_path))
    encoded = {name: value.encode() for name, value in headers.items()}
    answer = client.post("/rerank", json=BODY, headers=encoded)  # type: ignore[arg-type]
    assert answer.status_code == 401
    assert "wrong-key" not in answer.text


def test_right_keys_are_let_in(tmp_path: Path, serve: Serve) -> None:
    client = serve(Numbers(), settings=with_keys(tmp_path))
    for key in KEYS.values():
        for headers in (bearer(key), {"x-api-key": key}, {"authorization": f"bearer {key}"}):
            assert client.post("/rerank", json=BODY, headers=headers).status_code == 200


def test_metrics_may_be_open(tmp_path: Path, serve: Serve) -> None:
    client = serve(Numbers(), settings=with_keys(tmp_path, open_metrics=True))
    assert client.get("/metrics").status_code == 200


def test_each_key_has_its_own_bounds(tmp_path: Path, serve: Serve, held: Held) -> None:
    limits = {"key_pairs": 2, "key_pairs_per_minute": 6}
    client = serve(held, settings=with_keys(tmp_path), limits=limits)
    ann, ben = map(bearer, KEYS.values())
    with ThreadPoolExecutor(1) as callers:
        first = callers.submit(client.post, "/rerank", json=BODY, headers=ann)
        until(lambda: held.inside == 1)
        assert client.post("/rerank", json=BODY, headers=ann).status_code == 429
        held.let.set()
        assert client.post("/rerank", json=BODY, headers=ben).status_code == 200
        assert first.result().status_code == 200
    statuses = [client.post("/rerank", json=BODY, headers=ann).status_code for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    answer = client.post("/rerank", json=BODY, headers=ann)
    assert "6 pairs in a minute" in answer.json()["error"]
    assert 10 <= int(answer.headers["retry-after"]) <= 20


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example"])
def test_beyond_this_machine_keys_are_needed(host: str) -> None:
    with pytest.raises(InvalidRequestError, match="require_keys"):
        Keys.of(Settings(host=host), {})
    assert not Keys.of(Settings(host=host, require_keys=False), {}).are_required
    assert Keys.of(Settings(host=host), {VARIABLE: "a-key-that-is-long"}).are_required


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_this_machine_they_are_not(host: str) -> None:
    assert not Keys.of(Settings(host=host), {}).are_required
    with pytest.raises(InvalidRequestError, match="keys"):
        Keys.of(Settings(host=host, require_keys=True), {})


@pytest.mark.parametrize("key", ["short", "has a space in it", "ümlaut-key-here", "name=short"])
def test_keys_that_cannot_be_sent_are_refused_and_not_shown(key: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"good-key-number-1\n{key}\n", encoding="utf-8")
    with pytest.raises(InvalidRequestError, match="line 2") as caught:
        Keys.of(Settings(keys_file=str(file)), {})
    assert key not in str(caught.value)
