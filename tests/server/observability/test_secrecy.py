"""Texts and keys: neither logs nor traces nor metrics show them, unless queries are asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tiny_models
from server.observability.observed import KEY, PARENT, Collector
from server.running import until
from server.served import Served, serve

# Nothing that the server writes may have any of these.
TEXT, QUERY, WRONG = "textsentinel", "querysentinel", "wrong-sentinel-key"
SECRETS = (TEXT, QUERY, WRONG, KEY)
BAD_BODIES: list[Any] = [
    {"query": QUERY},
    {"query": [QUERY], "documents": [TEXT]},
    {"query": {"text": QUERY}, "documents": [TEXT]},
    {"query": QUERY, "documents": TEXT},
    {"query": QUERY, "documents": [TEXT, 5]},
    {"query": QUERY, "documents": [[TEXT]]},
    {"query": QUERY, "documents": {"text": TEXT}},
    {"query": QUERY, "documents": [TEXT * 100]},
    {"query": QUERY, "documents": [f"{TEXT} \ud800"]},
    {"query": QUERY, "documents": [TEXT], "first_stage_scores": [1, 2]},
    {"query": QUERY, "documents": [TEXT], "top_n": 0},
    {"query": QUERY, "documents": [f"{TEXT} good " * 9], "max_length": 100_000},
    {"query": QUERY, "texts": [f"{TEXT} good " * 20], "truncate": False},
    {"query": QUERY, "documents": [f"{TEXT} nan"]},
    {"query": QUERY, "documents": [TEXT], "model": "echo"},
    {"requests": [{"query": QUERY, "documents": [TEXT]}, {"query": QUERY}]},
    [QUERY, TEXT],
    QUERY,
]
GOOD_BODIES: list[Any] = [
    {"query": QUERY, "documents": [TEXT, f"{TEXT} good"]},
    {"query": QUERY, "documents": [TEXT], "return_documents": True},
    {"query": QUERY, "documents": [TEXT], "model": "instead"},
    {"query": QUERY, "documents": [f"{TEXT} nan", "good"], "on_error": "first_stage"},
    {"query": QUERY, "documents": [TEXT], "model": "echo", "on_error": "first_stage"},
]


def test_no_text_and_no_key_is_logged_traced_or_counted(
    served: Served, collector: Collector
) -> None:
    trace = "3" * 32
    headers = {"traceparent": f"00-{trace}-{PARENT}-01"}
    statuses = []
    for path in ("/v1/rank", "/rerank", "/v2/rerank", "/score"):
        for body in (*BAD_BODIES, *GOOD_BODIES):
            content = json.dumps(body).encode()
            answer = served.http.post(path, content=content, headers=headers)
            statuses.append(answer.status_code)
        answer = served.http.post(path, content=f'{{"query": "{QUERY}'.encode(), headers=headers)
        assert answer.status_code == 400
        wrong = {"Authorization": f"Bearer {WRONG}", **headers}
        answer = served.http.post(path, json=GOOD_BODIES[0], headers=wrong)
        assert answer.status_code == 401
    assert {200, 413, 422, 500, 502} <= set(statuses)
    served.http.get("/v1/models", headers={"x-request-id": "the-last", **headers})
    assert served.line("the-last")
    until(lambda: "GET /v1/models" in collector.of(trace))
    everything = {
        "log": served.log,
        "spans": "".join(str(each) for each in collector.spans),
        "metrics": served.http.get("/metrics").text,
    }
    assert len(collector.spans) > 100
    for name, text in everything.items():
        for secret in SECRETS:
            where = text.find(secret)
            assert where < 0, f"{name}: {text[max(0, where - 300) : where + 100]}"


def test_queries_are_logged_where_that_is_asked_for(tmp_path: Path) -> None:
    tiny = json.dumps(str(tiny_models.build(tmp_path / "tiny")))
    config = f"[server]\nlog_queries = true\n[models.m]\nmodel = {tiny}\n"
    (tmp_path / "resift.toml").write_text(config, encoding="utf-8")
    with serve("--config", str(tmp_path / "resift.toml")) as served:
        body = {"query": QUERY, "documents": [TEXT]}
        served.http.post("/v1/rank", json=body, headers={"x-request-id": "asked"})
        assert served.line("asked")["query"] == [QUERY]
        assert TEXT not in served.log
