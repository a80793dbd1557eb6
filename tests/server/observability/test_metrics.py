"""Metrics of a running server: what is counted, and under which names."""

from __future__ import annotations

from typing import Any

import httpx
from server.served import Served

from resift.server.metrics import CONTENT_TYPE


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
