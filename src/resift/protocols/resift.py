"""resift's own shape: all options of a call, several queries, and all that a ranking says."""

from __future__ import annotations

from resift.protocols.reading import Fields, as_number
from resift.protocols.shape import Shape, body_of
from resift.protocols.wire import (
    Failure,
    Json,
    Limits,
    WireError,
    WireQuery,
    WireRequest,
    WireResponse,
    WireResult,
    score_of,
)


class Resift(Shape):
    """``POST /v1/rank``.

    ``{"requests": [{"query", "documents", "first_stage_scores"?}], …options}``, answered with
    ``{"rankings": […]}``, each as ``Ranking.to_dict()`` has it. For a single query, ``query`` and
    ``documents`` may stand beside the options. Options have the names of ``Reranker.rank``. With
    ``return_cuts``, each result has a ``cut_at`` as ``Reranker.cuts`` gives it.
    """

    name = "resift"
    path = "/v1/rank"
    speaks = frozenset(
        {
            "model",
            "top_n",
            "return_documents",
            "normalization",
            "score_threshold",
            "max_length",
            "max_document_tokens",
            "long_documents",
            "prune",
            "prior",
            "deadline_ms",
            "max_documents",
            "on_error",
            "return_cuts",
        }
    )
    limits = Limits(documents=1000)
    retried = frozenset({408, 429, 502, 503, 504})
    several_queries = packs = tells_all = True

    def encode_request(self, request: WireRequest) -> Json:
        self.check_said(request)
        asked = []
        for query in request.queries:
            each: dict[str, Json] = {"query": query.query, "documents": list(query.documents)}
            if query.first_stage_scores is not None:
                each["first_stage_scores"] = list(query.first_stage_scores)
            asked.append(each)
        options = {name: getattr(request, name) for name in self.speaks}
        return body_of(request, requests=asked, **options)

    def decode_request(self, body: Json) -> WireRequest:
        read = Fields(body)
        several = read.items("requests")
        if several is None:
            queries = [_query(read)]
        else:
            queries = [
                _query(Fields(each, f"requests[{place}]")) for place, each in enumerate(several)
            ]
        return WireRequest(
            queries=tuple(queries),
            model=read.text("model"),
            top_n=read.positive("top_n"),
            return_documents=read.flag("return_documents"),
            # A name or an object; the engine checks them.
            normalization=read.any("normalization"),
            score_threshold=read.number("score_threshold"),
            max_length=read.positive("max_length"),
            max_document_tokens=read.positive("max_document_tokens"),
            long_documents=read.text("long_documents"),
            prune=read.text("prune"),
            prior=read.any("prior"),
            deadline_ms=read.number("deadline_ms"),
            max_documents=read.positive("max_documents"),
            on_error=read.text("on_error"),
            return_cuts=read.flag("return_cuts"),
            extra=read.rest(),
        )

    def encode_response(self, response: WireResponse, request: WireRequest) -> Json:
        rankings = []
        for query, result in zip(request.queries, response.results, strict=True):
            items = []
            for each in result.scores:
                item: dict[str, Json] = {
                    "index": each.index,
                    "score": each.score,
                    "logit": each.logit,
                }
                if request.return_documents:
                    item["document"] = query.documents[each.index]
                items.append({**item, **each.extra})
            rankings.append({"results": items, "model": result.model, **result.extra})
        return {"rankings": rankings}

    def decode_response(self, body: Json, request: WireRequest) -> WireResponse:
        read = Fields(body)
        rankings = read.required("rankings", read.items)
        if len(rankings) != len(request.queries):
            raise WireError(
                f"rankings must have one for each of {len(request.queries)} queries, not "
                f"{len(rankings)}"
            )
        return WireResponse(
            results=tuple(
                _result(each, f"rankings[{place}]") for place, each in enumerate(rankings)
            )
        )

    def encode_failure(self, failure: Failure) -> Json:
        named = {} if failure.kind is None else {"error_type": failure.kind}
        return {"error": failure.message, **named}


def _query(read: Fields) -> WireQuery:
    documents = read.required("documents", read.optional_strings)
    scores = read.items("first_stage_scores")
    return WireQuery(
        query=read.required("query", read.text),
        documents=documents,
        first_stage_scores=None
        if scores is None
        else tuple(
            None if each is None else as_number(each, f"first_stage_scores[{i}]")
            for i, each in enumerate(scores)
        ),
    )


def _result(body: Json, name: str) -> WireResult:
    read = Fields(body, name)
    scores = []
    for place, each in enumerate(read.required("results", read.items)):
        item = Fields(each, f"{name}.results[{place}]")
        known: dict[str, Json] = {
            "index": item.required("index", item.natural),
            "score": item.number("score"),
            "logit": item.number("logit"),
        }
        # The rest as it is, null too.
        scores.append(score_of({**each, **known}))
    return WireResult(
        scores=tuple(scores),
        model=read.text("model"),
        tokens=read.object("counts").natural("tokens"),
        extra={key: value for key, value in body.items() if key not in ("results", "model")},
    )
