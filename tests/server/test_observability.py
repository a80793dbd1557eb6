"""Metrics, logs and traces of a running server, and what none of them may show."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import tiny_models
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from server.running import until
from server.served import Served, serve

from resift.server.metrics import CONTENT_TYPE

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
KEY = "key-sentinel-7f3a9c21"
# Nothing that the server writes may have any of these.
TEXT, QUERY, WRONG = "textsentinel", "querysentinel", "wrong-sentinel-key"
SECRETS = (TEXT, QUERY, WRONG, KEY)


@dataclass
class Collector:
    """An OpenTelemetry collector on this machine."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)

    def of(self, trace: str) -> dict[str, Span]:
        return {each.name: each for each in self.spans if each.trace_id.hex() == trace}


def listen(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    found.spans += scope.spans
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = listen(Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    """A server that refuses whatever it gets, and repeats it in its error."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(422)
            self.end_headers()
            self.wfile.write(json.dumps({"error": body.decode(), "detail": "no"}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = listen(Handler)
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, collector: Collector, echo: str
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    tiny_models.build(folder / "tiny")
    (folder / "keys").write_text(f"shop={KEY}\n", encoding="utf-8")
    config = f"""
[server]
keys_file = {json.dumps(str(folder / "keys"))}
otlp_endpoint = "{collector.url}"
[limits]
document_characters = 1000
[models.tiny]
model = {json.dumps(str(folder / "tiny"))}
preload = true
[models.twice]
cached = "tiny"
[models.echo]
remote = "{echo}"
protocol = "tei"
attempts = 1
[models.instead]
fallback = ["echo", "tiny"]
"""
    (folder / "resift.toml").write_text(config, encoding="utf-8")
    fast = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
    with serve("--config", str(folder / "resift.toml"), **fast) as running:
        running.http.headers["Authorization"] = f"Bearer {KEY}"
        yield running


def rank(served: Served, **more: Any) -> httpx.Response:
    body = {"query": "a", "documents": ["good", "bad w1", "a b"], **more}
    return served.http.post("/v1/rank", json=body)


def increase(before: dict[str, float], after: dict[str, float], name: str) -> float:
    return after[name] - before.get(name, 0.0)


def test_metrics_count_requests_rankings_and_work(served: Served) -> None:
    before = served.metrics()
    rank(served)
    rank(served, model="twice")
    rank(served, model="twice")
    rank(served, documents=["good " * 40, "bad"])
    rank(served, max_documents=1)
    after = served.metrics()
    expected = {
        'resift_requests_total{path="/v1/rank",protocol="resift",status="200"}': 5,
        'resift_request_seconds_count{path="/v1/rank"}': 5,
        'resift_rankings_total{model="tiny",status="complete"}': 2,
        'resift_rankings_total{model="tiny",status="partial"}': 1,
        'resift_documents_total{model="tiny"}': 8,
        'resift_scored_total{model="tiny"}': 6,
        'resift_truncated_documents_total{model="tiny"}': 1,
        'resift_cached_total{model="twice"}': 3,
        'resift_phase_seconds_count{model="tiny",phase="infer"}': 3,
        'resift_phase_seconds_count{model="twice",phase="queue"}': 2,
        'te_request_count{method="batch"}': 5,
        'te_request_success{method="batch"}': 5,
        "te_request_duration_count": 5,
        "te_request_queue_duration_count": 5,
    }
    assert {name: increase(before, after, name) for name in expected} == expected
    assert after["resift_requests_in_work"] == after["resift_queue_pairs"] == 0
    assert after["resift_models_loaded"] >= 1
    # 3 + 3 + 2 + 1 pairs passed through the model; padding is never less than what is padded.
    assert increase(before, after, "resift_batch_pairs_sum") == 9
    tokens = increase(before, after, 'resift_tokens_total{model="tiny"}')
    assert 0 < tokens <= increase(before, after, 'resift_padded_tokens_total{model="tiny"}')
    assert increase(before, after, "te_batch_next_tokens_sum") >= tokens


def test_metrics_say_why_requests_were_refused(served: Served) -> None:
    before = served.metrics()
    assert served.http.post("/v1/rank", content=b"{").status_code == 400
    assert rank(served, documents=[1]).status_code == 422
    assert rank(served, documents=["x" * 1001]).status_code == 413
    assert rank(served, documents=["nan"]).status_code == 500
    assert rank(served, model="echo").status_code == 502
    assert served.http.post("/rerank", headers={"Authorization": "Bearer no"}).status_code == 401
    assert served.http.get("/nothing").status_code == 404
    after = served.metrics()
    reasons = {"invalid": 2, "too_large": 1, "inference": 1, "remote": 1, "unauthorized": 1}
    for reason, count in reasons.items():
        assert increase(before, after, f'resift_refused_total{{reason="{reason}"}}') == count
    for kind, count in {"validation": 2, "batch_size": 1, "inference": 1}.items():
        assert increase(before, after, f'te_request_failure{{err="{kind}"}}') == count
    # No label for each address that somebody tries.
    assert 'resift_requests_total{path="other",protocol="",status="404"}' in after
    assert not any("nothing" in name for name in after)


def test_metrics_have_the_names_of_teis_dashboards(served: Served) -> None:
    rank(served)
    rank(served, documents=[1])
    text = served.http.get("/metrics").text
    assert served.http.get("/metrics").headers["content-type"] == CONTENT_TYPE
    histograms = {
        "te_request_duration",
        "te_request_tokenization_duration",
        "te_request_queue_duration",
        "te_request_inference_duration",
        "te_request_input_length",
        "te_batch_next_size",
        "te_batch_next_tokens",
    }
    assert [each for each in histograms if f"\n{each}_bucket{{le=" not in text] == []
    plain = {"te_request_count{", "te_request_success{", "te_request_failure{", "te_queue_size "}
    assert [each for each in plain if f"\n{each}" not in text] == []
    assert "_created" not in text


def test_metrics_need_a_key_unless_they_are_open(served: Served) -> None:
    assert served.http.get("/metrics", headers={"Authorization": ""}).status_code == 401


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


def test_a_trace_continues_that_of_the_request(served: Served, collector: Collector) -> None:
    trace = "1" * 32
    headers = {"traceparent": f"00-{trace}-{PARENT}-01"}
    body = {"query": "a", "documents": ["good", "bad"]}
    assert served.http.post("/v1/rank", json=body, headers=headers).status_code == 200
    until(lambda: "POST /v1/rank" in collector.of(trace))
    spans = collector.of(trace)
    root = spans["POST /v1/rank"]
    assert (root.kind, root.parent_span_id.hex()) == (Span.SPAN_KIND_SERVER, PARENT)
    phases = [spans[name] for name in ("tokenize", "infer", "rank")]
    for phase in phases:
        assert phase.parent_span_id == root.span_id
        assert root.start_time_unix_nano <= phase.start_time_unix_nano
        assert phase.end_time_unix_nano <= root.end_time_unix_nano
    for earlier, later in pairwise(phases):
        assert earlier.end_time_unix_nano <= later.start_time_unix_nano
    attributes = {each.key: each.value for each in root.attributes}
    assert attributes["http.route"].string_value == "/v1/rank"
    assert attributes["http.response.status_code"].int_value == 200
    assert attributes["resift.documents"].int_value == 2
    assert attributes["resift.model"].string_value == "tiny"


def test_a_trace_of_a_failure_says_so(served: Served, collector: Collector) -> None:
    trace = "2" * 32
    headers = {"traceparent": f"00-{trace}-{PARENT}-01"}
    body = {"query": "a", "documents": ["nan"]}
    assert served.http.post("/v1/rank", json=body, headers=headers).status_code == 500
    until(lambda: "POST /v1/rank" in collector.of(trace))
    root = collector.of(trace)["POST /v1/rank"]
    assert root.status.code == root.status.STATUS_CODE_ERROR
    assert "NaN" in root.status.message


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
