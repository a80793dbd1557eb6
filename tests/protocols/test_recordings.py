"""Real clients' requests and real servers' answers, byte for byte, as each shape reads them.

Requests of cohere 7.3.1, voyageai 0.5.0, infinity-client 0.0.78 and tritonclient 2.73.0 were
recorded, and answers of Triton 2.51.0; the others are as the sources of their clients and servers
have them.
"""

from __future__ import annotations

from typing import Any

import pytest
from protocols.inputs import TWO

from resift.protocols import PROTOCOLS, Failure, WireError, WireRequest, loads

REQUESTS: list[tuple[str, str, bytes, dict[str, Any]]] = [
    (
        "cohere",
        "cohere",
        b'{"model":"rerank-v3.5","query":"q","documents":["a","b"],"top_n":null,'
        b'"max_tokens_per_doc":null}',
        {"model": "rerank-v3.5"},
    ),
    (
        "cohere-haystack",
        "cohere",
        b'{"model":"rerank-v3.5","query":"q","documents":["a","b"],"top_n":1,'
        b'"max_tokens_per_doc":4096,"priority":0}',
        {"model": "rerank-v3.5", "top_n": 1, "max_document_tokens": 4096, "extra": {"priority": 0}},
    ),
    (
        "voyageai",
        "voyage",
        b'{"query": "q", "documents": ["a", "b"], "model": "rerank-2.5", "top_k": null, '
        b'"truncation": true}',
        {"model": "rerank-2.5", "truncate": True},
    ),
    (
        "infinity-client",
        "infinity",
        b'{"query": "q", "documents": ["a", "b"], "return_documents": true, "raw_scores": false, '
        b'"model": "default/not-specified"}',
        {
            "return_documents": True,
            "normalization": "sigmoid",
            "model": "default/not-specified",
        },
    ),
    ("llama-index-tei", "tei", b'{"query":"q","texts":["a","b"]}', {}),
    (
        "haystack-tei",
        "tei",
        b'{"query":"q","texts":["a","b"],"raw_scores":true,"truncate":true,'
        b'"truncation_direction":"Right"}',
        {"normalization": "none", "truncate": True, "truncation_side": "right"},
    ),
    ("litellm-tei", "tei", b'{"query":"q","texts":["a","b"],"top_n":1}', {"top_n": 1}),
    (
        "jina-haystack",
        "jina",
        b'{"query":"q","documents":["a","b"],"model":"jina-reranker-v1-base-en","top_n":null}',
        {"model": "jina-reranker-v1-base-en"},
    ),
    (
        "librechat",
        "jina",
        b'{"model":"jina-reranker-v2-base-multilingual","query":"q","top_n":2,'
        b'"documents":["a","b"],"return_documents":true}',
        {"model": "jina-reranker-v2-base-multilingual", "top_n": 2, "return_documents": True},
    ),
    (
        "vllm",
        "vllm",
        b'{"model":"m","query":"q","documents":["a","b"],"top_n":0,"truncate_prompt_tokens":-1,'
        b'"use_activation":false,"user":"me"}',
        {
            "model": "m",
            "truncate": True,
            "normalization": "none",
            "extra": {"user": "me"},
        },
    ),
    (
        "vllm-score",
        "vllm-score",
        b'{"model":"m","text_1":"q","text_2":["a","b"]}',
        {"model": "m"},
    ),
    ("weaviate", "weaviate", b'{"documents":["a","b"],"property":"","query":"q"}', {}),
    (
        "tritonclient",
        "kserve-v2",
        b'{"id":"7","inputs":[{"name":"query","shape":[1,1],"datatype":"BYTES","data":["q"]},'
        b'{"name":"texts","shape":[1,2],"datatype":"BYTES","data":["a","b"]}],"outputs":'
        b'[{"name":"logits","parameters":{"binary_data":false}}],"parameters":{"timeout":500000}}',
        {"normalization": "none", "deadline_ms": 500.0, "extra": {"id": "7"}},
    ),
]


@pytest.mark.parametrize(
    ("shape", "body", "said"), [each[1:] for each in REQUESTS], ids=[each[0] for each in REQUESTS]
)
def test_requests_of_real_clients(shape: str, body: bytes, said: dict[str, Any]) -> None:
    expected = WireRequest(queries=TWO.queries, **said)
    assert PROTOCOLS[shape].decode_request(loads(body)) == expected


def test_objects_are_read_by_their_fields_and_returned_whole() -> None:
    body = loads(
        b'{"model":"rerank-v3.5","query":"q","documents":[{"text":"a","title":"t"},"b"],'
        b'"rank_fields":["title","text"],"return_documents":true}'
    )
    request = PROTOCOLS["cohere-v1"].decode_request(body)
    assert request.query.documents == ("t\na", "b")
    assert request.query.originals == ({"text": "a", "title": "t"}, "b")


def test_a_single_text_of_weaviate_is_answered_so() -> None:
    shape = PROTOCOLS["weaviate"]
    request = shape.decode_request({"query": "q", "property": "a"})
    assert (request.query.documents, request.lone) == (("a",), True)
    response = shape.decode_response({"query": "q", "property": "a", "score": 0.5}, request)
    assert [(each.index, each.score) for each in response.result.scores] == [(0, 0.5)]
    assert shape.encode_response(response, request)["score"] == 0.5


ANSWERS: list[tuple[str, bytes]] = [
    ("tei", b'[{"index":1,"score":2.5},{"index":0,"score":-1}]'),
    (
        "cohere",
        b'{"id":"07734bd2","results":[{"index":1,"relevance_score":2.5},'
        b'{"index":0,"relevance_score":-1}],"meta":{"api_version":{"version":"2",'
        b'"is_experimental":false},"billed_units":{"search_units":1}}}',
    ),
    (
        "jina",
        b'{"model":"jina-reranker-v2","usage":{"total_tokens":15,"prompt_tokens":15},"results":['
        b'{"index":1,"document":{"text":"b"},"relevance_score":2.5},'
        b'{"index":0,"document":"a","relevance_score":-1}]}',
    ),
    (
        "voyage",
        b'{"object":"list","data":[{"relevance_score":2.5,"index":1},'
        b'{"relevance_score":-1,"index":0}],"model":"rerank-2.5","usage":{"total_tokens":26}}',
    ),
    (
        "vllm",
        b'{"id":"score-1","model":"m","usage":{"prompt_tokens":9,"total_tokens":9},"results":['
        b'{"index":1,"document":{"text":"b","multi_modal":null},"relevance_score":2.5},'
        b'{"index":0,"document":{"text":"a","multi_modal":null},"relevance_score":-1.0}]}',
    ),
    (
        "vllm-score",
        b'{"id":"score-1","object":"list","created":1,"model":"m","data":['
        b'{"index":0,"object":"score","score":-1},{"index":1,"object":"score","score":2.5}],'
        b'"usage":{"prompt_tokens":9,"total_tokens":9,"completion_tokens":0}}',
    ),
    (
        "infinity",
        b'{"object":"rerank","results":[{"relevance_score":2.5,"index":1,"document":null},'
        b'{"relevance_score":-1,"index":0,"document":null}],"model":"m",'
        b'"usage":{"prompt_tokens":90,"total_tokens":90},"id":"infinity-1","created":1}',
    ),
    (
        "weaviate",
        b'{"query":"q","scores":[{"document":"a","score":-1},{"document":"b","score":2.5}],'
        b'"property":null,"score":null}',
    ),
    (
        "kserve-v2",
        b'{"id":"7","model_name":"resift","model_version":"1","outputs":[{"name":"logits",'
        b'"datatype":"FP32","shape":[1,2],"data":[-1.0,2.5]}]}',
    ),
]


@pytest.mark.parametrize(("shape", "body"), ANSWERS, ids=[name for name, _ in ANSWERS])
def test_answers_of_real_servers(shape: str, body: bytes) -> None:
    read = PROTOCOLS[shape].decode_response(loads(body), TWO)
    assert {each.index: each.score for each in read.result.scores} == {0: -1.0, 1: 2.5}


FAILURES = [
    ("tei", 422, b'{"error":"batch size 64 > 32","error_type":"Validation"}', "batch size 64 > 32"),
    ("tei", 401, b"", ""),
    ("tei", 413, b"Failed to buffer the request body: length limit exceeded", "Failed to buffer"),
    ("cohere", 401, b'{"id":"x","message":"invalid api token"}', "invalid api token"),
    ("jina", 422, b'{"detail":"bad model"}', "bad model"),
    ("vllm", 401, b'{"error":"Unauthorized"}', "Unauthorized"),
    (
        "vllm",
        400,
        b'{"error":{"message":"no such model","type":"NotFoundError","param":null,"code":404}}',
        "no such model",
    ),
    (
        "infinity",
        422,
        b'{"detail":[{"type":"missing","loc":["body","query"],"msg":"Field required",'
        b'"input":{"documents":["secret"]}}]}',
        "body.query: Field required",
    ),
    ("weaviate", 500, b'{"error":"CUDA out of memory"}', "CUDA out of memory"),
    ("kserve-v2", 503, b'{"error":"Request timeout expired"}', "Request timeout expired"),
]


@pytest.mark.parametrize(("shape", "status", "body", "message"), FAILURES)
def test_errors_of_real_servers(shape: str, status: int, body: bytes, message: str) -> None:
    failure = PROTOCOLS[shape].decode_failure(status, body)
    assert failure.message.startswith(message)
    assert "secret" not in failure.message


def test_one_failure_as_each_client_reads_it() -> None:
    failure = Failure(status=422, message="no")
    bodies = {name: shape.encode_failure(failure) for name, shape in PROTOCOLS.items()}
    assert bodies["tei"] == {"error": "no", "error_type": "Validation"}
    assert bodies["cohere"] == bodies["cohere-v1"] == {"message": "no"}
    assert bodies["jina"] == bodies["voyage"] == {"detail": "no"}
    assert bodies["weaviate"] == {"error": "no"}
    assert bodies["vllm"]["error"]["message"] == bodies["infinity"]["error"]["message"] == "no"


def test_what_a_server_says_about_itself() -> None:
    about = PROTOCOLS["tei"].decode_about(
        loads(
            b'{"model_id":"BAAI/bge-reranker-base","model_sha":"2cfc18c","model_dtype":"float16",'
            b'"model_type":{"reranker":{"id2label":{"0":"LABEL_0"},"label2id":{"LABEL_0":0}}},'
            b'"max_concurrent_requests":512,"max_input_length":512,"max_batch_tokens":16384,'
            b'"max_batch_requests":null,"max_client_batch_size":64,"version":"1.9.3"}'
        )
    )
    assert (about.model, about.revision, about.limits.documents) == (
        "BAAI/bge-reranker-base",
        "2cfc18c",
        64,
    )
    with pytest.raises(WireError, match="no reranker"):
        PROTOCOLS["tei"].decode_about({"model_type": {"embedding": {"pooling": "cls"}}})


def test_a_sorted_answer_of_weaviate_is_refused() -> None:
    body = {"scores": [{"document": "b", "score": 2.5}, {"document": "a", "score": -1}]}
    with pytest.raises(WireError, match=r"scores\[0\].document"):
        PROTOCOLS["weaviate"].decode_response(body, TWO)
