"""Voyage: ``POST /v1/rerank`` with ``top_k``, answered with ``data``."""

from __future__ import annotations

from resift.protocols.reading import Fields
from resift.protocols.shape import (
    SERVER_ERRORS,
    Shape,
    asked_back,
    body_of,
    decode_scores,
    encode_scores,
    strings_alone,
)
from resift.protocols.wire import (
    Failure,
    Json,
    Limits,
    WireRequest,
    WireResponse,
    WireResult,
)


class Voyage(Shape):
    """Voyage's words."""

    name = "voyage"
    path = "/v1/rerank"
    speaks = frozenset({"model", "top_n", "return_documents", "truncate"})
    scale = "voyage"
    # It also bounds the tokens of a request, by model, at 300,000 or 600,000 of the current ones:
    # a million bytes are some 260,000 tokens of English.
    limits = Limits(documents=1000, body=1_000_000)
    retried = frozenset({429}) | SERVER_ERRORS
    needs_model = True

    def encode_request(self, request: WireRequest) -> Json:
        self.check_said(request)
        return body_of(
            request,
            model=request.model,
            query=request.query.query,
            documents=list(request.query.documents),
            top_k=request.top_n,
            truncation=request.truncate,
            return_documents=request.return_documents,
        )

    def decode_request(self, body: Json) -> WireRequest:
        read = Fields(body)
        return WireRequest(
            queries=(strings_alone(read),),
            model=read.text("model"),
            top_n=read.positive("top_k"),
            truncate=read.flag("truncation"),
            return_documents=read.flag("return_documents"),
            extra=read.rest(),
        )

    def encode_response(self, response: WireResponse, request: WireRequest) -> Json:
        result = response.result
        return {
            "object": "list",
            "data": encode_scores(result.scores, "relevance_score", asked_back(response, request)),
            "model": result.model or request.model,
            "usage": {"total_tokens": result.tokens or 0},
        }

    def decode_response(self, body: Json, request: WireRequest) -> WireResponse:
        read = Fields(body)
        read.any("object")
        result = WireResult(
            scores=decode_scores(read, "data", "relevance_score"),
            model=read.text("model"),
            tokens=read.object("usage").natural("total_tokens"),
            extra=read.rest(),
        )
        return WireResponse(results=(result,))

    def encode_failure(self, failure: Failure) -> Json:
        return {"detail": failure.message}
