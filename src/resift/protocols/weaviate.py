"""Weaviate's reranker sidecar: ``POST /rerank``, all documents in the order given."""

from __future__ import annotations

from resift.protocols.reading import Fields
from resift.protocols.shape import Shape, body_of
from resift.protocols.wire import (
    Json,
    Limits,
    WireError,
    WireQuery,
    WireRequest,
    WireResponse,
    WireResult,
    WireScore,
)


class Weaviate(Shape):
    """The words of Weaviate's module ``reranker-transformers``, which is the client.

    It puts scores to documents by their place: an answer that is sorted or cut is wrong.
    """

    name = "weaviate"
    path = "/rerank"
    speaks = frozenset({"lone"})
    scale = "weaviate"
    # As many as Weaviate itself sends at a time.
    limits = Limits(documents=32)
    needs_all = True
    retried = frozenset({429, 502, 503, 504})

    def encode_request(self, request: WireRequest) -> Json:
        self.check_said(request)
        query = request.query
        if request.lone:
            return body_of(request, query=query.query, property=query.documents[0])
        return body_of(request, query=query.query, documents=list(query.documents), property="")

    def decode_request(self, body: Json) -> WireRequest:
        read = Fields(body)
        query = read.required("query", read.text)
        documents = read.strings("documents")
        text = read.text("property") or ""
        lone = documents is None
        return WireRequest(
            queries=(
                WireQuery(query=query, documents=(text,) if documents is None else documents),
            ),
            lone=lone,
            extra={**read.rest(), **({"property": text} if text and not lone else {})},
        )

    def encode_response(self, response: WireResponse, request: WireRequest) -> Json:
        scores = {each.index: each.score for each in response.result.scores}
        query = request.query
        if len(scores) != len(query.documents):
            raise WireError(f"all {len(query.documents)} documents must be scored")
        if request.lone:
            return {"query": query.query, "property": query.documents[0], "score": scores[0]}
        items = [
            {"document": text, "score": scores[index]} for index, text in enumerate(query.documents)
        ]
        return {"query": query.query, "scores": items, "property": None, "score": None}

    def decode_response(self, body: Json, request: WireRequest) -> WireResponse:
        read = Fields(body)
        read.any("query")
        read.any("property")
        lone = read.number("score")
        if request.lone:
            if lone is None:
                raise WireError("score is missing")
            scores = [WireScore(index=0, score=lone)]
        else:
            scores = _in_place(read, request.query)
        return WireResponse(results=(WireResult(scores=tuple(scores), extra=read.rest()),))


def _in_place(body: Fields, query: WireQuery) -> list[WireScore]:
    scores = []
    for place, each in enumerate(body.required("scores", body.items)):
        item = Fields(each, f"scores[{place}]")
        score, text = item.required("score", item.number), item.text("document")
        if text is not None and place < len(query.documents) and text != query.documents[place]:
            raise WireError(f"scores[{place}].document must be the document at this place")
        scores.append(WireScore(index=place, score=score, document=text, extra=item.rest()))
    return scores
