"""The door of a server: sizes, keys, how much at a time; the rest gets a clear answer."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
from numbers_scorer import Numbers
from server.running import Serve, configured, process, resident_megabytes, until

from resift import InvalidRequestError
from resift.server.admission import Admission
from resift.server.keys import VARIABLE, Keys
from resift.server.refusals import RefusedError
from resift.server.settings import Limits, Settings

BODY = {"query": "q", "documents": ["1", "2"]}


class Held(Numbers):
    """Answers when it is let, and counts who is in it."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()
        self.inside = 0
        self.cancelled = 0

    def score(self, requests: Any, call: Any) -> Any:
        if requests[0].texts == ("It is ready.",):
            raise ValueError("a probe")
        self.inside += 1
        while not self.let.wait(0.01):
            if call.is_cancelled:
                self.cancelled += 1
                break
        return super().score(requests, call)


@pytest.fixture
def held() -> Iterator[Held]:
    found = Held()
    yield found
    found.let.set()


SIZES: list[tuple[dict[str, int], dict[str, Any], str]] = [
    ({"body_bytes": 100}, {"query": "q", "documents": ["1" * 200]}, "body"),
    ({"documents": 2}, {"query": "q", "documents": ["1"] * 3}, "3 documents"),
    ({"query_characters": 5}, {"query": "q" * 6, "documents": ["1"]}, "characters of the query"),
    ({"document_characters": 5}, {"query": "q", "documents": ["1", "1" * 6]}, r"documents\[1\]"),
    ({"queries": 1}, {"requests": [BODY, BODY]}, "2 queries"),
    ({"documents": 3}, {"requests": [BODY, BODY]}, "4 documents"),
]


@pytest.mark.parametrize(("limits", "body", "named"), SIZES)
def test_what_is_too_large_is_refused_by_its_name(
    limits: dict[str, int], body: dict[str, Any], named: str, serve: Serve
) -> None:
    client = serve(Numbers(), limits=limits)
    answer = client.post("/v1/rank", json=body)
    assert answer.status_code == 413
    (limit,) = limits.values()
    said = answer.json()
    assert str(limit) in said["error"]
    with pytest.raises(AssertionError, match=named):
        raise AssertionError(said["error"])
    assert said["error_type"] == "Validation"
    assert said["error"] == said["message"] == said["detail"]
    assert client.post("/v1/rank", json={"query": "q", "documents": ["1"]}).status_code == 200


def test_tokens_of_a_request_are_bounded(serve: Serve) -> None:
    client = serve(model="resift-nano", limits={"tokens": 100})
    assert client.post("/rerank", json={"query": "q", "texts": ["a b"] * 3}).status_code == 200
    texts = [f"a b {number}" for number in range(40)]
    answer = client.post("/rerank", json={"query": "q", "texts": texts})
    assert answer.status_code == 413
    assert "tokens" in answer.json()["error"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe\x00", 400),
        (b"null", 422),
        (b"[1]", 422),
        (b"[" * 100_000, 400),
        (b'{"query": "q"}', 422),
        (b'{"query": "q", "documents": "text", "top_n": -1}', 422),
        (b'{"query": "q", "documents": [1]}', 422),
        (b'{"query": "q", "documents": ["1"], "top_n": "2"}', 422),
        (b'{"query": "  ", "documents": ["1"]}', 422),
        (b'{"query": "q", "documents": ["1"], "truncate_prompt_tokens": 9999999}', 422),
    ],
)
@pytest.mark.parametrize("path", ["/rerank", "/vllm/rerank"])
def test_what_is_wrong_is_refused_in_the_words_of_its_clients(
    content: bytes, status: int, path: str, server: httpx.Client
) -> None:
    answer = server.post(path, content=content)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    if path.startswith("/vllm"):
        assert error["code"] == status
        error = error["message"]
    assert len(error) > 10


def test_unknown_paths_and_methods(server: httpx.Client) -> None:
    assert server.get("/nowhere").status_code == 404
    assert "/v1/rank" in server.get("/nowhere").json()["error"]
    assert server.get("/rerank").status_code == 405
    assert server.get("/rerank").headers["allow"] == "POST"
    assert server.request("DELETE", "/v1/rank").json()["message"]


def test_compressed_bodies_are_refused(server: httpx.Client) -> None:
    answer = server.post("/rerank", content=b"x", headers={"content-encoding": "gzip"})
    assert answer.status_code == 415


def test_a_request_without_room_is_told_when_to_come_again(serve: Serve, held: Held) -> None:
    client = serve(held, limits={"pairs": 3})
    with ThreadPoolExecutor(1) as callers:
        # Nothing is in work, so it is let in, whatever its size.
        first = callers.submit(client.post, "/rerank", json={"query": "q", "texts": ["1"] * 9})
        until(lambda: held.inside == 1)
        answer = client.post("/rerank", json={"query": "q", "texts": ["1"]})
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["error_type"] == "Overloaded"
        assert "9 pairs" in answer.json()["error"]
        held.let.set()
        assert first.result().status_code == 200
    assert client.post("/rerank", json={"query": "q", "texts": ["1"]}).status_code == 200


def test_all_bodies_together_are_bounded(serve: Serve, held: Held) -> None:
    client = serve(held, limits={"all_bodies_bytes": 3000})
    with ThreadPoolExecutor(1) as callers:
        first = callers.submit(client.post, "/rerank", json={"query": "q", "texts": ["1"] * 500})
        until(lambda: held.inside == 1)
        answer = client.post("/rerank", json={"query": "q", "texts": ["2"] * 500})
        assert answer.status_code == 429
        held.let.set()
        assert first.result().status_code == 200
    until(lambda: client.server.admission.body_bytes == 0)  # type: ignore[attr-defined]
    assert client.post("/rerank", json={"query": "q", "texts": ["2"] * 500}).status_code == 200


def test_a_client_that_leaves_is_not_worked_for(serve: Serve, held: Held) -> None:
    client = serve(held)
    with pytest.raises(httpx.ReadTimeout):
        client.post("/rerank", json={"query": "q", "texts": ["1"]}, timeout=0.3)
    until(lambda: held.cancelled == 1)
    until(lambda: client.server.admission.pairs == 0)  # type: ignore[attr-defined]
    assert 'resift_refused_total{reason="dropped"} 1.0' in client.get("/metrics").text


# Keys

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


def test_a_bucket_fills_up_in_a_minute() -> None:
    now = [0.0]
    admission = Admission(Limits(key_pairs_per_minute=60), clock=lambda: now[0])

    def ask(pairs: int) -> float | None:
        try:
            with admission.work(pairs, "ann"):
                return None
        except RefusedError as error:
            return error.retry_after

    assert ask(60) is None
    assert ask(1) == pytest.approx(1)
    now[0] = 30.0
    assert ask(30) is None
    assert ask(60) == pytest.approx(60)
    now[0] = 1000.0
    # More than a minute's worth is let in by a full bucket, and paid for later.
    assert ask(90) is None
    assert ask(1) == pytest.approx(31)


def test_waiting_is_told_by_the_speed_of_late() -> None:
    now = [0.0]
    admission = Admission(Limits(), clock=lambda: now[0])
    assert admission.seconds_for(100) == 1
    for _ in range(10):
        with admission.work(50, None):
            now[0] += 1
    assert admission.seconds_for(250) == pytest.approx(5, rel=0.2)
    assert admission.seconds_for(10**6) == 60
    now[0] += 100
    assert admission.seconds_for(100) == 1


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


# Over the wire

HEAD = b"POST /rerank HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


def connected(client: httpx.Client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port), timeout=30)


def test_a_slow_head_is_cut_off(serve: Serve) -> None:
    client = serve(Numbers(), settings={"header_seconds": 0.5})
    with connected(client) as slow:
        start = time.monotonic()
        for byte in HEAD:
            try:
                slow.send(bytes([byte]))
            except OSError:
                break
            time.sleep(0.05)
        assert slow.recv(1000) == b""
        assert time.monotonic() - start < 10
    assert client.post("/rerank", json=BODY).status_code == 200


def test_a_slow_second_head_is_cut_off_too(serve: Serve) -> None:
    client = serve(Numbers(), settings={"header_seconds": 0.5})
    body = json.dumps({"query": "q", "texts": ["1"]}).encode()
    with connected(client) as slow:
        slow.sendall(HEAD + f"content-length: {len(body)}\r\n\r\n".encode() + body)
        assert b"200 OK" in slow.recv(10_000)
        slow.sendall(b"POST /re")
        assert slow.recv(1000) == b""


def test_an_idle_connection_stays_open(serve: Serve) -> None:
    client = serve(Numbers(), settings={"header_seconds": 0.3})
    body = json.dumps({"query": "q", "texts": ["1"]})
    kept = HTTPConnection(client.base_url.host, client.base_url.port or 0, timeout=30)
    with closing(kept):
        kept.connect()
        first = kept.sock
        for _ in range(2):
            kept.request("POST", "/rerank", body)
            with kept.getresponse() as answer:
                assert answer.status == 200
                answer.read()
            assert kept.sock is first
            time.sleep(0.6)


def test_a_slow_body_is_cut_off_with_an_answer(serve: Serve) -> None:
    client = serve(Numbers(), settings={"body_seconds": 0.5})
    with connected(client) as slow:
        slow.sendall(HEAD + b'content-length: 1000\r\n\r\n{"query": ')
        answer = slow.recv(10_000)
        assert b" 408 " in answer
        assert b"connection: close" in answer.lower()
    assert client.server.admission.bodies == 0  # type: ignore[attr-defined]


def test_garbage_is_no_request(server: httpx.Client) -> None:
    with connected(server) as odd:
        odd.sendall(os.urandom(2000) + b"\r\n\r\n")
        assert b" 400 " in odd.recv(10_000)
    assert server.get("/health/live").status_code == 200


def test_who_waits_for_permission_gets_the_refusal(serve: Serve) -> None:
    client = serve(Numbers(), limits={"body_bytes": 100})
    with connected(client) as polite:
        start = time.monotonic()
        polite.sendall(HEAD + b"content-length: 1000\r\nexpect: 100-continue\r\n\r\n")
        assert b" 413 " in polite.recv(10_000)
        assert time.monotonic() - start < 5


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it reads /proc")
@pytest.mark.parametrize("announced", [True, False])
def test_a_huge_body_is_refused_in_little_memory(announced: bool) -> None:
    size, part = 400_000_000, b"x" * 1_000_000
    with process("--model", "resift-nano") as server:
        before = resident_megabytes(server.pid)

        def parts() -> Iterator[bytes]:
            for _ in range(size // len(part)):
                yield part

        headers = {"content-length": str(size)} if announced else {}
        answer = httpx.post(
            f"{server.address}/rerank", content=parts(), headers=headers, timeout=60
        )
        assert answer.status_code == 413
        assert resident_megabytes(server.pid) < before + 100
        body = {"query": "q", "texts": ["1"]}
        assert httpx.post(f"{server.address}/rerank", json=body).status_code == 200


def test_very_many_documents_are_refused(server: httpx.Client) -> None:
    answer = server.post("/rerank", json={"query": "q", "texts": ["1"] * 100_000}, timeout=60)
    assert answer.status_code == 413
    assert "100000 documents" in answer.json()["error"]


def test_the_app_needs_no_server_of_ours() -> None:
    """``create_app`` gives what any ASGI server runs."""
    from starlette.testclient import TestClient

    from resift.server.app import create_app

    with TestClient(create_app(configured(model="resift-nano"))) as client:
        until(lambda: client.get("/health/ready").status_code == 200)
        body = {"query": "q", "texts": ["1"]}
        assert client.post("/rerank", json=body).status_code == 200
