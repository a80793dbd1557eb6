"""infinity: ``POST /rerank``."""

from __future__ import annotations

from resift.protocols.reading import Fields
from resift.protocols.shape import (
    SERVER_ERRORS,
    Shape,
    asked_back,
    body_of,
    decode_scores,
    encode_openai_failure,
    encode_scores,
    normalization,
    raw_scores,
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


class Infinity(Shape):
    """infinity's words. Its ``usage`` counts characters, so it isn't read as tokens."""

    name = "infinity"
    path = "/rerank"
    speaks = frozenset({"model", "top_n", "return_documents", "normalization"})
    limits = Limits(documents=2048)
    retried = frozenset({429}) | SERVER_ERRORS

    def encode_request(self, request: WireRequest) -> Json:
        self.check_said(request)
        return body_of(
            request,
            model=request.model,
            query=request.query.query,
            documents=list(request.query.documents),
            top_n=request.top_n,
            return_documents=request.return_documents,
            raw_scores=raw_scores(request),
        )

    def decode_request(self, body: Json) -> WireRequest:
        read = Fields(body)
        return WireRequest(
            queries=(strings_alone(read),),
            model=read.text("model"),
            top_n=read.positive("top_n"),
            return_documents=read.flag("return_documents"),
            normalization=normalization(read.flag("raw_scores")),
            extra=read.rest(),
        )

    def encode_response(self, response: WireResponse, request: WireRequest) -> Json:
        result = response.result
        tokens = result.tokens or 0
        return {
            "object": "rerank",
            "results": encode_scores(
                result.scores, "relevance_score", asked_back(response, request)
            ),
            "model": result.model or request.model or "default/not-specified",
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            **({} if result.id is None else {"id": result.id}),
        }

    def decode_response(self, body: Json, request: WireRequest) -> WireResponse:
        read = Fields(body)
        read.any("object")
        read.any("usage")
        result = WireResult(
            scores=decode_scores(read, "results", "relevance_score"),
            model=read.text("model"),
            id=read.text("id"),
            extra=read.rest(),
        )
        return WireResponse(results=(result,))

    def encode_failure(self, failure: Failure) -> Json:
        return encode_openai_failure(failure)
