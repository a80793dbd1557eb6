"""Requests, answers and bodies of every wire shape, for properties."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from resift.protocols import (
    PROTOCOLS,
    Shape,
    WireQuery,
    WireRequest,
    WireResponse,
    WireResult,
    WireScore,
)
from resift.protocols.openai import passage

# For a longer run: RESIFT_TEST_EXAMPLES=20000 python -m pytest tests/protocols
budget = settings(max_examples=int(os.environ.get("RESIFT_TEST_EXAMPLES", "20")), deadline=None)

TEXTS = st.text(max_size=40)
# Finite, as JSON has no others.
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
# Keys that no shape knows.
UNKNOWN = st.dictionaries(
    st.sampled_from(["user", "priority_", "instruction", "x"]),
    JSON.filter(lambda value: value is not None),
    max_size=2,
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "model": st.text(min_size=1, max_size=12),
    "top_n": st.integers(1, 50),
    "return_documents": st.booleans(),
    "normalization": st.sampled_from(["none", "sigmoid"]),
    "score_threshold": NUMBERS,
    "max_length": st.integers(1, 8192),
    "max_query_tokens": st.integers(1, 8192),
    "max_document_tokens": st.integers(1, 8192),
    "truncate": st.booleans(),
    "truncation_side": st.sampled_from(["left", "right"]),
    "long_documents": st.sampled_from(["truncate", "windows"]),
    "prune": st.sampled_from(["auto", "off"]),
    "prior": st.just("auto") | st.floats(0, 3),
    "deadline_ms": st.floats(1, 1000),
    "return_cuts": st.booleans(),
}


@st.composite
def requests(draw: st.DrawFn, shape: Shape) -> WireRequest:
    """A request that the shape can say."""
    said = {
        name: draw(strategy)
        for name, strategy in FIELDS.items()
        if name in shape.speaks and (name == "model" or draw(st.booleans()))
    }
    if shape.name.startswith("vllm"):
        # It has one key for both, and none for "don't truncate".
        said["truncate"] = None if "max_length" in said else said.get("truncate") or None
    if shape.name == "kserve-v2" and "deadline_ms" in said:
        # Whole microseconds.
        said["deadline_ms"] = round(said["deadline_ms"] * 1000) / 1000
    queries = [draw(_queries(shape))]
    if shape.several_queries:
        queries += draw(st.lists(_queries(shape), max_size=2))
    if shape.name == "vllm-score" and len(queries) > 1:
        queries = [WireQuery(query=each.query, documents=("one",)) for each in queries]
    return WireRequest(queries=tuple(queries), extra=draw(UNKNOWN), **said)


@st.composite
def _queries(draw: st.DrawFn, shape: Shape) -> WireQuery:
    prompted = shape.name == "openai-listwise"
    text = TEXTS.map(passage) if prompted else TEXTS
    null = st.none() if shape.name == "resift" else st.nothing()
    least = 1 if prompted else 0
    documents = tuple(draw(st.lists(text | null, min_size=least, max_size=5)))
    query = WireQuery(query=draw(text), documents=documents)
    if shape.name == "resift" and draw(st.booleans()):
        scores = tuple(draw(NUMBERS | st.none()) for _ in documents)
        return WireQuery(query=query.query, documents=documents, first_stage_scores=scores)
    if shape.name in ("jina", "cohere-v1") and draw(st.booleans()):
        objects = tuple({"text": each, "id": place} for place, each in enumerate(documents))
        originals = objects or None
        return WireQuery(query=query.query, documents=documents, originals=originals)
    return query


@st.composite
def responses(draw: st.DrawFn, shape: Shape, request: WireRequest) -> WireResponse:
    """An answer to the request, as a server of this shape may give it."""
    results = []
    for place, query in enumerate(request.queries):
        order = draw(st.permutations(range(len(query.documents))))
        if shape.name in ("weaviate", "vllm-score", "kserve-v2"):
            order = sorted(order)
        elif shape.name not in ("openai-listwise",):
            order = order[: request.top_n]
        number = st.none() if shape.scale == "order" else NUMBERS
        scores = tuple(WireScore(index=index, score=draw(number)) for index in order)
        # In vLLM's answer, one count is for all queries.
        tokens = 0 if place else draw(st.integers(0, 10_000))
        results.append(WireResult(scores=scores, model=draw(FIELDS["model"]), tokens=tokens))
    return WireResponse(results=tuple(results))


@st.composite
def spoilt(draw: st.DrawFn, whole: Any) -> Any:
    """The body with anything in the place of one of its values."""
    if isinstance(whole, dict) and whole and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(whole)))
        return {**whole, key: draw(spoilt(whole[key]))}
    if isinstance(whole, list) and whole and draw(st.booleans()):
        place = draw(st.integers(0, len(whole) - 1))
        return [*whole[:place], draw(spoilt(whole[place])), *whole[place + 1 :]]
    return draw(JSON)


SHAPES = list(PROTOCOLS.values())
