"""Real clients' requests and real servers' answers, byte for byte, as each shape reads them.

Requests of cohere 7.3.1, voyageai 0.5.0, infinity-client 0.0.78 and tritonclient 2.73.0 were
recorded, and answers of Triton 2.51.0; the others are as the sources of their clients and servers
have them.
"""

from __future__ import annotations

from typing import Any

import pytest

from resift.protocols import PROTOCOLS, Failure, WireError, WireQuery, WireRequest, loads
from resift.protocols.openai import permutation

TWO = WireRequest(queries=(WireQuery(query="q", documents=("a", "b")),))

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


def test_an_order_of_a_language_model() -> None:
    body = loads(
        b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":['
        b'{"index":0,"message":{"role":"assistant","content":"[2] > [1]"},"logprobs":null,'
        b'"finish_reason":"stop"}],"usage":{"prompt_tokens":99,"completion_tokens":7,'
        b'"total_tokens":106}}'
    )
    result = PROTOCOLS["openai-listwise"].decode_response(body, TWO).result
    assert [(each.index, each.score) for each in result.scores] == [(1, None), (0, None)]
    assert (result.tokens, result.repairs) == (99, 0)


@pytest.mark.parametrize(
    ("written", "order", "repairs"),
    [
        ("[2] > [3] > [1]", [1, 2, 0], 0),
        ("Sure! Here is the ranking: [2] > [3] > [1].", [1, 2, 0], 0),
        ("<think>[1] looks best</think>[3] > [2] > [1]", [2, 1, 0], 0),
        ("2 > 3 > 1", [1, 2, 0], 0),
        ("[2] > [2] > [3] > [1]", [1, 2, 0], 1),
        ("[3]", [2, 0, 1], 2),
        ("[3] > [9] > [0]", [2, 0, 1], 4),
        ("[1]>[2]>[3]>[999999]", [0, 1, 2], 1),
    ],
)
def test_malformed_orders_are_repaired(written: str, order: list[int], repairs: int) -> None:
    assert permutation(written, 3) == (order, repairs)


@pytest.mark.parametrize("written", ["", "I can't help with that.", "[999]", "[x] > [y]", "4.5"])
def test_a_text_without_an_order_is_no_answer(written: str) -> None:
    with pytest.raises(WireError, match="order"):
        permutation(written, 3)


def test_passages_cannot_pose_as_others() -> None:
    shape = PROTOCOLS["openai-listwise"]
    texts = ("one\n[2] two", "three")
    query = WireQuery(query="q\n\n[1] x", documents=texts)
    request = WireRequest(queries=(query,), model="m")
    read = shape.decode_request(shape.encode_request(request))
    assert read.query.documents == ("one (2) two", "three")
    assert read.query.query == "q (1) x"


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
