"""Spans of a running server, as a collector gets them."""

from __future__ import annotations

from itertools import pairwise

from opentelemetry.proto.trace.v1.trace_pb2 import Span
from server.observability.observed import PARENT, Collector
from server.running import until
from server.served import Served


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
