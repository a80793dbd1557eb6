"""The OpenAPI document, against the standard and against what the server takes and answers."""

from __future__ import annotations

import copy
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from starlette.routing import Route

from resift.protocols import PROTOCOLS
from resift.protocols.routes import ROUTES
from resift.server.app import Server
from resift.server.config import Config
from resift.server.openapi import document

QUERY, TEXTS = "how do I sort a dictionary", ["Use sorted with a key function.", "", "A museum."]
_BODY = {"query": QUERY, "documents": TEXTS}
_OBJECTS = [{"text": TEXTS[0], "id": "7"}, TEXTS[1], {"text": TEXTS[2]}]

# Requests of each shape, by the name of its schema.
REQUESTS: dict[str, list[dict[str, Any]]] = {
    "Resift": [
        {**_BODY, "first_stage_scores": [0.5, None, 0.1], "prior": {"place_weight": 0.1}},
        {**_BODY, "top_n": 2, "return_documents": True, "model": None},
        {
            "requests": [_BODY, {"query": "x", "documents": ["y", None]}],
            "long_documents": "windows",
            "deadline_ms": 60_000,
            "normalization": "none",
        },
    ],
    "Tei": [
        {"query": QUERY, "texts": TEXTS, "raw_scores": True, "return_text": True},
        {"query": QUERY, "texts": TEXTS, "truncation_direction": "Right", "truncate": None},
    ],
    "Cohere": [{**_BODY, "model": "rerank-v3.5", "top_n": 2, "max_tokens_per_doc": 100}],
    "CohereV1": [{"query": QUERY, "documents": _OBJECTS, "rank_fields": ["text"], "top_n": None}],
    "Jina": [{**_BODY, "model": "jina", "return_documents": True}],
    "Voyage": [{**_BODY, "model": "rerank-2", "top_k": 2, "truncation": True}],
    "Vllm": [
        {**_BODY, "top_n": 0, "use_activation": False},
        {"query": QUERY, "documents": TEXTS[0], "truncate_prompt_tokens": -1},
    ],
    "VllmScore": [
        {"text_1": QUERY, "text_2": TEXTS},
        {"queries": [QUERY], "documents": TEXTS[:1], "model": "any"},
    ],
    "Infinity": [{**_BODY, "raw_scores": True, "return_documents": True}],
    "Weaviate": [{**_BODY, "property": ""}, {"query": QUERY, "property": TEXTS[0]}],
    "Common": [_BODY, {**_BODY, "documents": _OBJECTS, "return_documents": True}],
}
WHOLE = document()
RANKED = [
    (path, each.partition("schemas/")[2].removesuffix("Request"))
    for path in ROUTES
    for each in sorted(
        schema["$ref"]
        for content in [
            WHOLE["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        ]
        for schema in content.get("anyOf", [content])
    )
]


def valid(schema: dict[str, Any], instance: Any) -> bool:
    whole = {**schema, "components": WHOLE["components"]}
    return bool(Draft202012Validator(whole).is_valid(instance))


def named(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def answers(path: str, method: str = "post") -> dict[str, Any]:
    found: dict[str, Any] = WHOLE["paths"][path][method]["responses"]
    return found


def test_it_is_openapi_3_1(server: httpx.Client) -> None:
    served = server.get("/openapi.json").json()
    assert served == WHOLE
    assert served["openapi"].startswith("3.1.")
    validate(served)
    validate(document("/prefix"))
    identifiers = [
        each["operationId"] for path in served["paths"].values() for each in path.values()
    ]
    assert len(identifiers) == len(set(identifiers))


def test_it_has_every_route_and_no_other() -> None:
    app: Any = Server.of(Config.of()).app
    routes = {
        (route.path, method)
        for route in app._app.routes
        if isinstance(route, Route)
        for method in route.methods or ()
    }
    described = {
        (path, method.upper()) for path, methods in WHOLE["paths"].items() for method in methods
    }
    # Starlette answers HEAD wherever it answers GET.
    assert described == {(path, method) for path, method in routes if method != "HEAD"}
    assert len(described) > 30


@pytest.mark.parametrize(("path", "name"), RANKED)
def test_requests_and_answers_are_as_described(path: str, name: str, server: httpx.Client) -> None:
    for body in REQUESTS[name]:
        assert valid(named(f"{name}Request"), body), body
        answer = server.post(path, json=body)
        assert answer.status_code == 200, answer.text
        described = answers(path)["200"]
        assert valid(described["content"]["application/json"]["schema"], answer.json())
        # A path's answer may have one of several shapes: this request's, to be exact.
        assert valid(named(f"{name}Response"), answer.json())
        own = {each for each in answer.headers if each.startswith(("x-resift", "x-request"))}
        assert own <= described["headers"].keys()


@pytest.mark.parametrize(("path", "name"), RANKED)
def test_what_is_described_as_wrong_is_refused(path: str, name: str, server: httpx.Client) -> None:
    schema = WHOLE["components"]["schemas"][f"{name}Request"]
    body = REQUESTS[name][0]
    wrong: list[dict[str, Any]] = [{**body, "query": 5, "queries": 5, "text_1": 5}]
    for key in schema["required"]:
        # Version 2 without a model, and Voyage's without documents, are other shapes' here.
        if key != "model":
            less = copy.deepcopy(body)
            del less[key]
            wrong.append(less)
    for each in wrong:
        assert not valid(named(f"{name}Request"), each), each
        answer = server.post(path, json=each)
        assert answer.status_code == 422, (each, answer.text)
        assert valid(answers(path)["422"]["content"]["application/json"]["schema"], answer.json())


@pytest.mark.parametrize("path", ROUTES)
def test_refusals_are_described(path: str, server: httpx.Client) -> None:
    described = answers(path)
    for content, status in ((b"{", 400), (b"[]", 422), (b"x" * (32 * 2**20 + 1), 413)):
        answer = server.post(path, content=content)
        assert answer.status_code == status
        schema = described[str(status)]["content"]["application/json"]["schema"]
        assert valid(schema, answer.json())


def test_what_is_got_is_described(server: httpx.Client) -> None:
    for path, methods in WHOLE["paths"].items():
        if "get" not in methods:
            continue
        answer = server.get(path.replace("{name}", "page.js"), follow_redirects=True)
        described = methods["get"]["responses"]
        if path.startswith("/page") and answer.status_code == 404:
            continue
        assert str(answer.status_code) in described, path
        content = described[str(answer.status_code)].get("content", {})
        kinds = {each.partition(";")[0] for each in content}
        given = answer.headers.get("content-type", "").partition(";")[0]
        assert given in (kinds or {""}) or path.startswith("/page"), path
        if given == "application/json":
            assert valid(content[given]["schema"], answer.json())


def test_resifts_own_request_has_every_key_that_is_taken() -> None:
    properties = WHOLE["components"]["schemas"]["ResiftRequest"]["properties"].keys()
    assert properties - {"query", "documents", "first_stage_scores", "requests"} == (
        PROTOCOLS["resift"].speaks
    )
