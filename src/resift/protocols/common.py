"""The words that clients of ``/rerank`` and ``/v1/rerank`` have in common, for a server of all."""

from __future__ import annotations

from resift.protocols.reading import Fields
from resift.protocols.shape import (
    Shape,
    asked_back,
    decode_scores,
    encode_failure_for_all,
    encode_scores,
    normalization,
    texts_or_objects,
)
from resift.protocols.wire import (
    Failure,
    Json,
    WireRequest,
    WireResponse,
    WireResult,
)


class Common(Shape):
    """A request of Jina's, Cohere's, vLLM's or infinity's, and an answer for each of them.

    A document comes back where that is asked for, as ``{"text": …}``, or as the object it was.
    ``voyage`` says whether the client may also be Voyage's, which reads ``data`` and strings.
    """

    name = "common"
    path = "/rerank"
    speaks = frozenset(
        {
            "model",
            "top_n",
            "return_documents",
            "normalization",
            "max_length",
            "max_document_tokens",
            "rank_fields",
        }
    )

    def __init__(self, *, voyage: bool = False) -> None:
        self._voyage = voyage

    def encode_request(self, request: WireRequest) -> Json:
        raise NotImplementedError("a client speaks the protocol of one server, such as 'jina'")

    def decode_request(self, body: Json) -> WireRequest:
        read = Fields(body)
        fields = read.strings("rank_fields")
        length = read.whole("truncate_prompt_tokens", least=-1)
        raw, activation = read.flag("raw_scores"), read.flag("use_activation")
        if raw is None and activation is not None:
            raw = not activation
        if isinstance(body.get("documents"), str):
            # vLLM's word for one document.
            read = Fields({**read.rest(), "documents": [read.text("documents")]})
        return WireRequest(
            queries=(texts_or_objects(read, "documents", fields or ("text",)),),
            model=read.text("model"),
            # 0 is vLLM's word for all.
            top_n=read.natural("top_n") or None,
            return_documents=read.flag("return_documents"),
            normalization=normalization(raw),
            # Below 1 is vLLM's word for what the model takes.
            max_length=length if length and length > 0 else None,
            max_document_tokens=read.natural("max_tokens_per_doc") or None,
            rank_fields=fields,
            extra=read.rest(),
        )

    def encode_response(self, response: WireResponse, request: WireRequest) -> Json:
        result = response.result
        tokens = result.tokens or 0
        documents, texts = None, asked_back(response, request)
        if texts is not None:
            given = {each.index: request.query.given(each.index) for each in result.scores}
            documents = {k: {"text": v} if isinstance(v, str) else v for k, v in given.items()}
        data = encode_scores(result.scores, "relevance_score", texts) if self._voyage else None
        return {
            "id": result.id,
            "model": result.model or request.model,
            "results": encode_scores(result.scores, "relevance_score", documents),
            **({} if data is None else {"data": data}),
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            "meta": {"api_version": {"version": "1"}, "tokens": {"input_tokens": tokens}},
        }

    def decode_response(self, body: Json, request: WireRequest) -> WireResponse:
        read = Fields(body)
        result = WireResult(
            scores=decode_scores(read, "results", "relevance_score"),
            model=read.text("model"),
            id=read.text("id"),
            tokens=read.object("usage").natural("total_tokens"),
            extra=read.rest(),
        )
        return WireResponse(results=(result,))

    def encode_failure(self, failure: Failure) -> Json:
        return encode_failure_for_all(failure)
