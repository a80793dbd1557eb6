"""Cohere: ``POST /v1/rerank`` and ``POST /v2/rerank``."""

from __future__ import annotations

from dataclasses import replace

from resift.protocols.reading import Fields
from resift.protocols.shape import (
    SERVER_ERRORS,
    Shape,
    body_of,
    decode_scores,
    encode_scores,
    strings_alone,
    texts_or_objects,
)
from resift.protocols.wire import (
    Failure,
    Json,
    Limits,
    WireRequest,
    WireResponse,
    WireResult,
)


class Cohere(Shape):
    """Version 2: a model is named, documents are strings, and none comes back."""

    name = "cohere"
    path = "/v2/rerank"
    speaks = frozenset({"model", "top_n", "max_document_tokens"})
    scale = "cohere"
    # It takes 10,000, and advises against more than this.
    limits = Limits(documents=1000)
    # As its SDK does.
    retried = frozenset({408, 409, 429}) | SERVER_ERRORS
    needs_model = True

    def encode_request(self, request: WireRequest) -> Json:
        self.check_said(request)
        return body_of(
            request,
            model=request.model,
            query=request.query.query,
            documents=list(request.query.documents),
            top_n=request.top_n,
            max_tokens_per_doc=request.max_document_tokens,
        )

    def decode_request(self, body: Json) -> WireRequest:
        read = Fields(body)
        return WireRequest(
            queries=(strings_alone(read),),
            model=read.required("model", read.text),
            top_n=read.positive("top_n"),
            max_document_tokens=read.positive("max_tokens_per_doc"),
            extra=read.rest(),
        )

    def encode_response(self, response: WireResponse, request: WireRequest) -> Json:
        return _encode(response, encode_scores(response.result.scores, "relevance_score"), "2")

    def decode_response(self, body: Json, request: WireRequest) -> WireResponse:
        read = Fields(body)
        scores = decode_scores(read, "results", "relevance_score")
        tokens = read.object("meta").object("tokens").number("input_tokens")
        # From version 1's servers: {"text": …} and more.
        scores = tuple(replace(each, document=_text(each.document)) for each in scores)
        result = WireResult(
            scores=scores,
            id=read.text("id"),
            tokens=None if tokens is None else int(tokens),
            extra=read.rest(),
        )
        return WireResponse(results=(result,))

    def encode_failure(self, failure: Failure) -> Json:
        return {"message": failure.message}


class CohereV1(Cohere):
    """Version 1: documents may be objects, and come back where that is asked for."""

    name = "cohere-v1"
    path = "/v1/rerank"
    speaks = frozenset({"model", "top_n", "return_documents", "rank_fields"})
    needs_model = False

    def encode_request(self, request: WireRequest) -> Json:
        self.check_said(request)
        query = request.query
        fields = request.rank_fields
        return body_of(
            request,
            model=request.model,
            query=query.query,
            documents=list(query.originals or query.documents),
            top_n=request.top_n,
            return_documents=request.return_documents,
            rank_fields=None if fields is None else list(fields),
        )

    def decode_request(self, body: Json) -> WireRequest:
        read = Fields(body)
        fields = read.strings("rank_fields")
        return WireRequest(
            queries=(texts_or_objects(read, "documents", fields or ("text",)),),
            model=read.text("model"),
            top_n=read.positive("top_n"),
            return_documents=read.flag("return_documents"),
            rank_fields=fields,
            extra=read.rest(),
        )

    def encode_response(self, response: WireResponse, request: WireRequest) -> Json:
        scores = response.result.scores
        documents = None
        if request.return_documents:
            given = {each.index: request.query.given(each.index) for each in scores}
            documents = {k: {"text": v} if isinstance(v, str) else v for k, v in given.items()}
        return _encode(response, encode_scores(scores, "relevance_score", documents), "1")


def _encode(response: WireResponse, results: Json, version: str) -> Json:
    meta: dict[str, Json] = {"api_version": {"version": version}}
    if response.result.tokens is not None:
        meta["tokens"] = {"input_tokens": response.result.tokens}
    named = {} if response.result.id is None else {"id": response.result.id}
    return {**named, "results": results, "meta": meta}


def _text(document: Json) -> Json:
    """The string of ``{"text": …}`` alone; any other document as it is."""
    if isinstance(document, dict) and document.keys() == {"text"}:
        return document["text"]
    return document
