"""The OpenAPI document: every route, what it takes, and what it answers."""

from __future__ import annotations

from typing import Any

from resift import __version__
from resift.protocols.routes import ROUTES
from resift.server.schemas import ERROR, SCHEMAS, SHAPES

Json = dict[str, Any]

_GETS = {
    "/health": ("Whether requests can be ranked", "application/json", True),
    "/health/live": ("Whether the process answers", "application/json", True),
    "/health/ready": ("Whether requests can be ranked", "application/json", True),
    "/ping": ("Whether requests can be ranked", "application/json", True),
    "/.well-known/live": ("Whether the process answers (Weaviate)", None, True),
    "/.well-known/ready": ("Whether requests can be ranked (Weaviate)", None, True),
    "/metrics": ("Prometheus metrics", "text/plain", False),
    "/v1/models": ("The models", "application/json", False),
    "/models": ("The models", "application/json", False),
    "/info": ("The server (Text Embeddings Inference)", "application/json", False),
    "/tei/info": ("The server (Text Embeddings Inference)", "application/json", False),
    "/meta": ("The model (Weaviate)", "application/json", False),
    "/openapi.json": ("This document", "application/json", False),
    "/": ("A page for trying it out", "text/html", True),
    "/page/{name}": ("A file of the page", "text/plain", True),
}
_REFUSALS = {
    "400": "the body isn't JSON",
    "401": "the key is missing or wrong",
    "408": "the body took too long",
    "413": "beyond a limit of the server",
    "415": "the body is compressed",
    "422": "not what the shape or the model takes",
    "429": "too much is in work; Retry-After says when to come again",
    "500": "the model can't rank this",
    "502": "a server behind this one failed",
    "503": "shutting down",
}
_HEADERS = {
    "x-request-id": "the request's number, as given or a new one",
    "x-resift-model": "the name of the model that ranked",
    "x-resift-status": "complete, partial, or fallback",
    "x-resift-scale": "the scale of what the model gave: logit, or a server's own",
    "x-resift-normalization": "what made scores of that: sigmoid, none, or another",
    "x-resift-ignored": "keys of the request that changed nothing",
    "x-resift-truncated": "documents that the model didn't see whole",
    "x-resift-pruned": "documents that early exit or a cascade left out",
    "x-resift-unscored": "documents that weren't scored, for lack of time or by a limit",
}


def document(prefix: str = "") -> Json:
    """The document of a server whose routes have ``prefix`` before them."""
    paths: dict[str, Json] = {}
    for path in ROUTES:
        paths.setdefault(prefix + path, {})["post"] = _ranks(path)
    for path, (summary, kind, is_open) in _GETS.items():
        paths.setdefault(prefix + path, {})["get"] = _gets(path, summary, kind, is_open)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "resift",
            "version": __version__,
            "description": "Reranking, in the words of many servers. Null is the same as no key.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"key": []}, {}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _ranks(path: str) -> Json:
    shapes = SHAPES[path]
    refusals = {
        status: {"description": text, "content": {"application/json": {"schema": ERROR}}}
        for status, text in _REFUSALS.items()
    }
    answer = {
        "description": "the ranking",
        "headers": {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in _HEADERS.items()
        },
        "content": {"application/json": {"schema": _one_of(shapes, "Response")}},
    }
    return {
        "summary": f"Rank, as {' or '.join(shapes)}",
        "operationId": _identifier("post", path),
        "parameters": [
            {
                "name": "x-resift-deadline-ms",
                "in": "header",
                "description": "milliseconds for the ranking",
                "schema": {"type": "number", "exclusiveMinimum": 0},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _one_of(shapes, "Request")}},
        },
        "responses": {"200": answer, **refusals},
    }


def _gets(path: str, summary: str, kind: str | None, is_open: bool) -> Json:
    schema = {"type": "object"} if kind == "application/json" else {"type": "string"}
    done: Json = {"description": summary}
    if kind is not None:
        done["content"] = {kind: {"schema": schema}}
    answers = {"200" if kind else "204": done}
    if not is_open:
        answers["401"] = {"description": _REFUSALS["401"]}
    if "ready" in path or path in ("/health", "/ping"):
        answers["503"] = {"description": "not ready; the body says why"}
    if "live" in path:
        answers["503"] = {"description": "stuck: end it, and start it again"}
    found: Json = {
        "summary": summary,
        "operationId": _identifier("get", path),
        "responses": answers,
    }
    if is_open:
        found["security"] = []
    if "{name}" in path:
        found["parameters"] = [
            {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
        ]
    return found


def _one_of(shapes: tuple[str, ...], suffix: str) -> Json:
    named = [{"$ref": f"#/components/schemas/{each}{suffix}"} for each in shapes]
    return named[0] if len(named) == 1 else {"anyOf": named}


def _identifier(method: str, path: str) -> str:
    words = "".join(each if each.isalnum() else "_" for each in path).strip("_")
    return f"{method}_{words or 'root'}"
