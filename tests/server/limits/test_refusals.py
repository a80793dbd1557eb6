"""Requests to a server that it can't read, and paths that it doesn't have."""

from __future__ import annotations

import httpx
import pytest
from server.running import configured, until


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


def test_the_app_needs_no_server_of_ours() -> None:
    """``create_app`` gives what any ASGI server runs."""
    from starlette.testclient import TestClient

    from resift.server.app import create_app

    with TestClient(create_app(configured(model="resift-nano"))) as client:
        until(lambda: client.get("/health/ready").status_code == 200)
        body = {"query": "q", "texts": ["1"]}
        assert client.post("/rerank", json=body).status_code == 200
