"""Requests to a server that are too large, one by one and all together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from numbers_scorer import Numbers
from server.limits.holding import BODY, Held
from server.running import Serve, process, resident_megabytes, until

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
    assert re.search(named, said["error"])
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
        assert httpx.post(f"{server.address}/rerank", json=body, timeout=60).status_code == 200


def test_very_many_documents_are_refused(server: httpx.Client) -> None:
    answer = server.post("/rerank", json={"query": "q", "texts": ["1"] * 100_000}, timeout=60)
    assert answer.status_code == 413
    assert "100000 documents" in answer.json()["error"]
