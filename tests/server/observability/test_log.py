"""Log lines of a running server: which requests have one, and what stands in it."""

from __future__ import annotations

from pathlib import Path

import tiny_models
from server.observability.observed import PARENT
from server.running import until
from server.served import Served, serve

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_each_request_has_a_line_in_the_log(served: Served) -> None:
    answer = served.http.post(
        "/rerank",
        json={"query": "a", "texts": ["good", "bad"]},
        headers={"x-request-id": "order-66", "traceparent": f"00-{TRACE}-{PARENT}-01"},
    )
    assert answer.headers["x-request-id"] == "order-66"
    line = served.line("order-66")
    assert line["milliseconds"] > 0
    fixed = {
        "level": "info",
        "logger": "resift.server.access",
        "message": "POST /rerank 200",
        "trace_id": TRACE,
        "client": "127.0.0.1",
        "key": "shop",
        "protocol": "tei",
        "queries": 1,
        "documents": 2,
        "model": "tiny",
        "status": "complete",
        "truncated": 0,
    }
    assert fixed.items() <= line.items()


def test_a_request_id_that_would_spoil_the_log_is_replaced(served: Served) -> None:
    for given in ("a b", "x" * 129, '{"level":"error"}', ""):
        answer = served.http.get("/v1/models", headers={"x-request-id": given})
        assert len(answer.headers["x-request-id"]) == 32


def test_probes_are_not_logged(served: Served) -> None:
    for path in ("/health/live", "/health/ready", "/metrics", "/.well-known/ready"):
        served.http.get(path, headers={"x-request-id": "probe"})
    served.http.get("/v1/models", headers={"x-request-id": "no-probe"})
    assert served.line("no-probe")
    assert '"probe"' not in served.log


def test_a_text_log_is_for_people_and_keeps_to_lines(tmp_path: Path) -> None:
    tiny = tiny_models.build(tmp_path / "tiny")
    with serve("--model", str(tiny), "--log-format", "text") as served:
        body = {"query": "a", "documents": ["b"], "model": "x\n\x1b[31m"}
        served.http.post("/v1/rank", json=body)
        served.http.get("/nothing/%0d%0a%1b[31mred")
        until(lambda: "GET /nothing" in served.log)
        assert "POST /v1/rank 200" in served.log
        assert "\x1b" not in served.log
        assert served.stop() == 0
