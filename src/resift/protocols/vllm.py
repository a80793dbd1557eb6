"""vLLM: ``POST /v1/rerank``, and ``POST /v1/score``, which answers in the order given."""

from __future__ import annotations

from dataclasses import replace

from resift.protocols.reading import Fields, kind_of
from resift.protocols.shape import (
    SERVER_ERRORS,
    Shape,
    body_of,
    decode_scores,
    encode_openai_failure,
    encode_scores,
    normalization,
    raw_scores,
)
from resift.protocols.wire import (
    Failure,
    Json,
    WireError,
    WireQuery,
    WireRequest,
    WireResponse,
    WireResult,
    WireScore,
)

_COMMON = frozenset({"model", "normalization", "max_length", "truncate"})


class Vllm(Shape):
    """The words of vLLM's ``/rerank``, which always returns the documents."""

    name = "vllm"
    path = "/v1/rerank"
    speaks = _COMMON | {
        "top_n",
        "truncation_side",
        "max_query_tokens",
        "max_document_tokens",
        "return_documents",
    }
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
            truncation_side=request.truncation_side,
            max_tokens_per_query=request.max_query_tokens,
            max_tokens_per_doc=request.max_document_tokens,
            **_encode_common(request),
        )

    def decode_request(self, body: Json) -> WireRequest:
        read = Fields(body)
        documents = read.required("documents", lambda key: _one_or_more(read, key))
        side = read.text("truncation_side")
        if side not in (None, "left", "right"):
            raise WireError("truncation_side must be 'left' or 'right'")
        max_length, truncate = _decode_length(read)
        return WireRequest(
            queries=(WireQuery(query=read.required("query", read.text), documents=documents),),
            model=read.text("model"),
            # 0 is its word for "not given".
            top_n=read.natural("top_n") or None,
            return_documents=read.flag("return_documents"),
            normalization=_decode_activation(read),
            max_length=max_length,
            truncate=truncate,
            truncation_side=side,
            max_query_tokens=read.natural("max_tokens_per_query") or None,
            max_document_tokens=read.natural("max_tokens_per_doc") or None,
            extra=read.rest(),
        )

    def encode_response(self, response: WireResponse, request: WireRequest) -> Json:
        result = response.result
        documents = {
            each.index: {"text": request.query.documents[each.index], "multi_modal": None}
            for each in result.scores
        }
        return {
            **({} if result.id is None else {"id": result.id}),
            "model": result.model or request.model,
            "usage": _usage(result),
            "results": encode_scores(result.scores, "relevance_score", documents),
        }

    def decode_response(self, body: Json, request: WireRequest) -> WireResponse:
        read = Fields(body)
        scores = tuple(
            replace(each, document=_text(each.document))
            for each in decode_scores(read, "results", "relevance_score")
        )
        return WireResponse(results=(_result(read, scores),))

    def encode_failure(self, failure: Failure) -> Json:
        return encode_openai_failure(failure)


class VllmScore(Vllm):
    """The words of vLLM's ``/score``: one query for all texts, or a query for each."""

    name = "vllm-score"
    path = "/v1/score"
    speaks = _COMMON
    several_queries = needs_all = True

    def encode_request(self, request: WireRequest) -> Json:
        self.check_said(request)
        queries = request.queries
        if len(queries) == 1:
            given: tuple[Json, Json] = (queries[0].query, list(queries[0].documents))
        elif all(len(each.documents) == 1 for each in queries):
            given = [each.query for each in queries], [each.documents[0] for each in queries]
        else:
            raise WireError("several queries must have one document each in this protocol")
        return body_of(
            request,
            model=request.model,
            queries=given[0],
            documents=given[1],
            **_encode_common(request),
        )

    def decode_request(self, body: Json) -> WireRequest:
        read = Fields(body)
        queries, texts = _two(read)
        max_length, truncate = _decode_length(read)
        if len(queries) == 1:
            asked = [WireQuery(query=queries[0], documents=texts)]
        elif len(queries) == len(texts):
            pairs = zip(queries, texts, strict=True)
            asked = [WireQuery(query=query, documents=(text,)) for query, text in pairs]
        else:
            raise WireError(
                f"there must be one query, or as many as texts: {len(queries)}, {len(texts)}"
            )
        return WireRequest(
            queries=tuple(asked),
            model=read.text("model"),
            normalization=_decode_activation(read),
            max_length=max_length,
            truncate=truncate,
            extra=read.rest(),
        )

    def encode_response(self, response: WireResponse, request: WireRequest) -> Json:
        data: list[Json] = []
        for result in response.results:
            by_index = sorted(result.scores, key=lambda each: each.index)
            data += [
                {"index": len(data) + place, "object": "score", "score": each.score}
                for place, each in enumerate(by_index)
            ]
        first = response.result
        return {
            **({} if first.id is None else {"id": first.id}),
            "object": "list",
            "model": first.model or request.model,
            "data": data,
            "usage": _usage(*response.results),
        }

    def decode_response(self, body: Json, request: WireRequest) -> WireResponse:
        read = Fields(body)
        read.any("object")
        scores = decode_scores(read, "data", "score")
        if len(request.queries) == 1:
            return WireResponse(results=(_result(read, scores),))
        by_index = {each.index: each.score for each in scores}
        if len(scores) != len(by_index) or by_index.keys() != set(range(len(request.queries))):
            raise WireError(f"data must have every index below {len(request.queries)} once")
        whole = _result(read, ())
        return WireResponse(
            results=tuple(
                replace(
                    whole,
                    scores=(WireScore(index=0, score=by_index[place]),),
                    tokens=None if place else whole.tokens,
                )
                for place in range(len(request.queries))
            )
        )


def _one_or_more(read: Fields, key: str) -> tuple[str, ...] | None:
    value = read.any(key)
    if value is None or isinstance(value, str):
        return None if value is None else (value,)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise WireError(f"{key} must be a string or a list of strings, not {kind_of(value)}")
    return tuple(value)


def _two(read: Fields) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The two sides, under whichever of their names."""
    for one, other in (
        ("queries", "documents"),
        ("queries", "items"),
        ("text_1", "text_2"),
        ("data_1", "data_2"),
    ):
        if one in read and other in read:
            sides = _one_or_more(read, one), _one_or_more(read, other)
            return sides[0] or (), sides[1] or ()
    raise WireError("queries and documents are missing, or text_1 and text_2")


def _encode_common(request: WireRequest) -> dict[str, Json]:
    raw = raw_scores(request)
    # -1 is its word for what the model takes.
    length = request.max_length or (-1 if request.truncate else None)
    return {
        "use_activation": None if raw is None else not raw,
        "truncate_prompt_tokens": length,
    }


def _decode_length(read: Fields) -> tuple[int | None, bool | None]:
    length = read.whole("truncate_prompt_tokens", least=-1)
    if length is None or length == 0:
        return None, None
    return (None, True) if length < 0 else (length, None)


def _decode_activation(read: Fields) -> str | None:
    activation = read.flag("use_activation")
    return None if activation is None else normalization(not activation)


def _text(document: Json) -> Json:
    return document.get("text") if isinstance(document, dict) else document


def _result(read: Fields, scores: tuple[WireScore, ...]) -> WireResult:
    return WireResult(
        scores=scores,
        model=read.text("model"),
        id=read.text("id"),
        tokens=read.object("usage").natural("total_tokens"),
        extra=read.rest(),
    )


def _usage(*results: WireResult) -> Json:
    tokens = sum(each.tokens or 0 for each in results)
    return {"prompt_tokens": tokens, "total_tokens": tokens}
