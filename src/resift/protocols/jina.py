"""Jina: ``POST /v1/rerank``, which many other servers and callers speak too."""

from __future__ import annotations

from resift.protocols.reading import Fields
from resift.protocols.shape import (
    Shape,
    asked_back,
    body_of,
    decode_scores,
    encode_scores,
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


class Jina(Shape):
    """Jina's words; documents may be ``{"text": …}``."""

    name = "jina"
    path = "/v1/rerank"
    speaks = frozenset({"model", "top_n", "return_documents"})
    scale = "jina"
    # It names no limit. A million bytes are a moderate body for any server.
    limits = Limits(body=1_000_000)
    needs_model = True

    def is_listwise(self, model: str | None) -> bool:
        """Whether the model is of version 3, which reads all documents at once."""
        return "jina-reranker-v3" in (model or "")

    def encode_request(self, request: WireRequest) -> Json:
        self.check_said(request)
        query = request.query
        return body_of(
            request,
            model=request.model,
            query=query.query,
            documents=list(query.originals or query.documents),
            top_n=request.top_n,
            return_documents=request.return_documents,
        )

    def decode_request(self, body: Json) -> WireRequest:
        read = Fields(body)
        return WireRequest(
            queries=(texts_or_objects(read, "documents"),),
            model=read.text("model"),
            top_n=read.positive("top_n"),
            return_documents=read.flag("return_documents"),
            extra=read.rest(),
        )

    def encode_response(self, response: WireResponse, request: WireRequest) -> Json:
        result = response.result
        # Its own server returns them where nothing is said. Callers read both forms; LiteLLM and
        # older clients the object alone.
        texts = asked_back(response, request)
        documents = None if texts is None else {at: {"text": text} for at, text in texts.items()}
        return {
            "model": result.model or request.model,
            "usage": {"total_tokens": result.tokens or 0},
            "results": encode_scores(result.scores, "relevance_score", documents),
        }

    def decode_response(self, body: Json, request: WireRequest) -> WireResponse:
        read = Fields(body)
        result = WireResult(
            scores=decode_scores(read, "results", "relevance_score"),
            model=read.text("model"),
            tokens=read.object("usage").natural("total_tokens"),
            extra=read.rest(),
        )
        return WireResponse(results=(result,))

    def encode_failure(self, failure: Failure) -> Json:
        return {"detail": failure.message}
