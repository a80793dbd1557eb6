"""Text Embeddings Inference: ``POST /rerank``, answered with a bare array."""

from __future__ import annotations

from collections.abc import Mapping

from resift.protocols.reading import Fields
from resift.protocols.shape import Shape, body_of, normalization, raw_scores, strings_alone
from resift.protocols.wire import (
    About,
    Failure,
    Json,
    Limits,
    WireError,
    WireRequest,
    WireResponse,
    WireResult,
    WireScore,
)

_KINDS = {400: "Empty", 422: "Validation", 424: "Backend", 429: "Overloaded", 503: "Unhealthy"}


class Tei(Shape):
    """TEI's words. Its own server knows no ``top_n``; LiteLLM's client sends it all the same."""

    name = "tei"
    path = "/rerank"
    speaks = frozenset({"top_n", "return_documents", "normalization", "truncate"}) | {
        "truncation_side"
    }
    # The default of --max-client-batch-size and of --payload-limit, less the query's share.
    limits = Limits(documents=32, body=1_900_000)
    # 500 isn't among them: it gives 424 where the model fails, which will fail again.
    retried = frozenset({408, 429, 502, 503, 504})
    about_path = "/info"
    needs_all = True

    def encode_request(self, request: WireRequest) -> Json:
        self.check_said(request)
        side = request.truncation_side
        return body_of(
            request,
            query=request.query.query,
            texts=list(request.query.documents),
            top_n=request.top_n,
            return_text=request.return_documents,
            raw_scores=raw_scores(request),
            truncate=request.truncate,
            # Before 1.9.0 it knew the capitalised names alone.
            truncation_direction=side.capitalize() if side else None,
        )

    def decode_request(self, body: Json) -> WireRequest:
        read = Fields(body)
        side = read.text("truncation_direction")
        if side not in (None, "left", "Left", "right", "Right"):
            raise WireError("truncation_direction must be 'Left' or 'Right'")
        return WireRequest(
            queries=(strings_alone(read, "texts"),),
            top_n=read.positive("top_n"),
            return_documents=read.flag("return_text"),
            normalization=normalization(read.flag("raw_scores")),
            truncate=read.flag("truncate"),
            truncation_side=side.lower() if side else None,
            extra=read.rest(),
        )

    def encode_response(self, response: WireResponse, request: WireRequest) -> Json:
        items = []
        for each in response.result.scores:
            item: dict[str, Json] = {"index": each.index, "score": each.score}
            if request.return_documents:
                item["text"] = request.query.documents[each.index]
            items.append(item)
        return items

    def decode_response(self, body: Json, request: WireRequest) -> WireResponse:
        if not isinstance(body, list):
            raise WireError("the answer must be a list of objects")
        scores = []
        for place, each in enumerate(body):
            read = Fields(each, f"[{place}]")
            index = read.required("index", read.natural)
            score = read.required("score", read.number)
            text = read.text("text")
            scores.append(WireScore(index=index, score=score, document=text, extra=read.rest()))
        return WireResponse(results=(WireResult(scores=tuple(scores)),))

    def encode_failure(self, failure: Failure) -> Json:
        kind = failure.kind or _KINDS.get(failure.status, "Backend")
        return {"error": failure.message, "error_type": kind}

    def decode_about(self, body: Json) -> About:
        read = Fields(body)
        kind = read.any("model_type")
        # Any other kind is a classifier or an embedder, which has no /rerank.
        if not (isinstance(kind, Mapping) and "reranker" in kind):
            raise WireError("model_type must be {'reranker': …}: the server's model is no reranker")
        return About(
            limits=Limits(
                documents=read.positive("max_client_batch_size") or self.limits.documents,
                body=self.limits.body,
            ),
            model=read.text("model_id"),
            revision=read.text("model_sha"),
            precision=read.text("model_dtype"),
        )
