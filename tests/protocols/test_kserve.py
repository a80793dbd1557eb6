"""The inference protocol of KServe: what Triton 2.51.0 says, and what a request of it may have."""

from __future__ import annotations

from typing import Any

import pytest
from protocols.inputs import TWO

from resift.protocols import PROTOCOLS, WireError, WireRequest, loads


def test_what_triton_says_about_a_model() -> None:
    body = loads(
        b'{"name":"resift","platform":"","backend":"python","max_batch_size":8,"output":'
        b'[{"name":"scores","data_type":"TYPE_FP32","dims":[-1]},{"name":"logits","data_type":'
        b'"TYPE_FP32","dims":[-1]}],"parameters":{"model":{"string_value":"resift-small"},'
        b'"max_documents":{"string_value":"200"},"revision":{"string_value":"0.5.0"}}}'
    )
    shape = PROTOCOLS["kserve-v2"]
    about = shape.decode_about(body)
    assert about.limits.documents == 200
    assert (about.model, about.revision, about.precision) == ("resift-small", "0.5.0", None)
    assert shape.decode_about({**body, "parameters": {}}).limits == shape.limits
    with pytest.raises(WireError, match="no reranker"):
        shape.decode_about({**body, "output": [{"name": "embedding"}]})
    with pytest.raises(WireError, match="max_documents"):
        shape.decode_about({**body, "parameters": {"max_documents": {"string_value": "many"}}})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inputs": None}, "inputs must have 'query'"),
        ({"inputs": [{"name": "query", "datatype": "FP32", "data": [1]}]}, "'BYTES'"),
        (
            {
                "inputs": [
                    {"name": "query", "datatype": "BYTES", "data": ["q", "r"]},
                    {"name": "texts", "datatype": "BYTES", "data": ["a"]},
                ]
            },
            "one string",
        ),
        ({"parameters": {"timeout": -1}}, "timeout"),
    ],
)
def test_what_no_kserve_request_has(change: dict[str, Any], words: str) -> None:
    shape = PROTOCOLS["kserve-v2"]
    with pytest.raises(WireError, match=words):
        shape.decode_request({**shape.encode_request(TWO), **change})


def test_parameters_of_ones_own_stay_beside_the_timeout() -> None:
    shape = PROTOCOLS["kserve-v2"]
    request = WireRequest(
        queries=TWO.queries, deadline_ms=2.0, extra={"parameters": {"priority": 1}}
    )
    body = shape.encode_request(request)
    assert body["parameters"] == {"priority": 1, "timeout": 2000}
    assert shape.decode_request(body) == request


def test_one_that_asked_for_nothing_gets_scores() -> None:
    outputs = [{"name": "logits", "data": [0.0]}, {"name": "scores", "data": [0.5]}]
    response = PROTOCOLS["kserve-v2"].decode_response({"outputs": outputs}, TWO)
    assert [each.score for each in response.result.scores] == [0.5]
    with pytest.raises(WireError, match="'logits' or 'scores'"):
        PROTOCOLS["kserve-v2"].decode_response({"outputs": []}, TWO)
