"""Connections to a server that are slow, idle or garbage."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import closing
from http.client import HTTPConnection

import httpx
from numbers_scorer import Numbers
from server.limits.holding import BODY
from server.running import Serve

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
        slow.sendall(b"POST /re")
        answers = b"".join(iter(lambda: slow.recv(10_000), b""))
        assert answers.count(b"HTTP/1.1") == answers.count(b"200 OK") == 1


def test_an_idle_connection_stays_open(serve: Serve) -> None:
    client = serve(Numbers(), settings={"header_seconds": 1.0})
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
            time.sleep(1.3)


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
