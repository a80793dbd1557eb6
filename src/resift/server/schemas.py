"""The schemas of requests and answers, by the names of their shapes."""

from __future__ import annotations

from typing import Any

from resift.protocols.routes import ROUTES

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_FLAG: Json = {"type": "boolean"}
_NUMBER: Json = {"type": "number"}
_COUNT: Json = {"type": "integer", "minimum": 1}
_INDEX: Json = {"type": "integer", "minimum": 0}
_TEXTS: Json = {"type": "array", "items": _TEXT}
_MIXED: Json = {"type": "array", "items": {"anyOf": [_TEXT, {"type": "object"}]}}
_ONE_OR_MORE: Json = {"anyOf": [_TEXT, _TEXTS]}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _object(required: str, **keys: Json) -> Json:
    """An object; other keys may come, and ``null`` is the same as none."""
    optional = {
        name: each if name in required.split() else {"anyOf": [each, {"type": "null"}]}
        for name, each in keys.items()
    }
    return {"type": "object", "required": required.split(), "properties": optional}


_SCORED = _object("index relevance_score", index=_INDEX, relevance_score=_NUMBER, document={})
_USAGE = _object("total_tokens", prompt_tokens=_INDEX, total_tokens=_INDEX)
_RESULTS = _object(
    "results", id=_TEXT, model=_TEXT, results=_list(_SCORED), usage=_USAGE, meta={"type": "object"}
)

ERROR: Json = _object("error", error={}, error_type=_TEXT, message=_TEXT, detail=_TEXT)

SCHEMAS: dict[str, Json] = {
    "ResiftRequest": {
        **_object(
            "",
            query=_TEXT,
            documents={"type": "array", "items": {"type": ["string", "null"]}},
            first_stage_scores=_list({"type": ["number", "null"]}),
            requests=_list(
                _object(
                    "query documents",
                    query=_TEXT,
                    documents={"type": "array", "items": {"type": ["string", "null"]}},
                    first_stage_scores=_list({"type": ["number", "null"]}),
                )
            ),
            model=_TEXT,
            top_n=_COUNT,
            score_threshold=_NUMBER,
            normalization={"anyOf": [_TEXT, {"type": "object"}]},
            max_length=_COUNT,
            max_document_tokens=_COUNT,
            long_documents={"enum": ["truncate", "windows"]},
            prune={"enum": ["auto", "off"]},
            prior={"anyOf": [_NUMBER, _TEXT, {"type": "object"}]},
            deadline_ms=_NUMBER,
            max_documents=_COUNT,
            on_error={"enum": ["raise", "first_stage"]},
            return_documents=_FLAG,
            return_cuts=_FLAG,
        ),
        "anyOf": [{"required": ["query", "documents"]}, {"required": ["requests"]}],
    },
    "ResiftResponse": _object("rankings", rankings=_list({"type": "object"})),
    "TeiRequest": _object(
        "query texts",
        query=_TEXT,
        texts=_TEXTS,
        top_n=_COUNT,
        raw_scores=_FLAG,
        return_text=_FLAG,
        truncate=_FLAG,
        truncation_direction={"enum": ["Left", "Right", "left", "right"]},
    ),
    "TeiResponse": _list(_object("index score", index=_INDEX, score=_NUMBER, text=_TEXT)),
    "CohereRequest": _object(
        "model query documents",
        model=_TEXT,
        query=_TEXT,
        documents=_TEXTS,
        top_n=_COUNT,
        max_tokens_per_doc=_COUNT,
    ),
    "CohereResponse": _RESULTS,
    "CohereV1Request": _object(
        "query documents",
        model=_TEXT,
        query=_TEXT,
        documents=_MIXED,
        top_n=_COUNT,
        rank_fields=_TEXTS,
        return_documents=_FLAG,
    ),
    "CohereV1Response": _RESULTS,
    "JinaRequest": _object(
        "query documents",
        model=_TEXT,
        query=_TEXT,
        documents=_MIXED,
        top_n=_COUNT,
        return_documents=_FLAG,
    ),
    "JinaResponse": _RESULTS,
    "CommonRequest": _object(
        "query documents",
        model=_TEXT,
        query=_TEXT,
        documents={"anyOf": [_TEXT, _MIXED]},
        top_n=_INDEX,
        rank_fields=_TEXTS,
        return_documents=_FLAG,
        raw_scores=_FLAG,
        use_activation=_FLAG,
        max_tokens_per_doc=_INDEX,
        truncate_prompt_tokens={"type": "integer", "minimum": -1},
    ),
    "CommonResponse": _RESULTS,
    "VoyageRequest": _object(
        "query documents",
        model=_TEXT,
        query=_TEXT,
        documents=_TEXTS,
        top_k=_COUNT,
        truncation=_FLAG,
        return_documents=_FLAG,
    ),
    "VoyageResponse": _object("data", object=_TEXT, data=_list(_SCORED), model=_TEXT, usage=_USAGE),
    "VllmRequest": _object(
        "query documents",
        model=_TEXT,
        query=_TEXT,
        documents=_ONE_OR_MORE,
        top_n=_INDEX,
        use_activation=_FLAG,
        max_tokens_per_doc=_INDEX,
        truncate_prompt_tokens={"type": "integer", "minimum": -1},
    ),
    "VllmResponse": _RESULTS,
    "VllmScoreRequest": _object(
        "",
        model=_TEXT,
        queries=_ONE_OR_MORE,
        documents=_ONE_OR_MORE,
        items=_ONE_OR_MORE,
        text_1=_ONE_OR_MORE,
        text_2=_ONE_OR_MORE,
        data_1=_ONE_OR_MORE,
        data_2=_ONE_OR_MORE,
        use_activation=_FLAG,
        truncate_prompt_tokens={"type": "integer", "minimum": -1},
    ),
    "VllmScoreResponse": _object(
        "data",
        id=_TEXT,
        object=_TEXT,
        model=_TEXT,
        data=_list(_object("index score", index=_INDEX, object=_TEXT, score=_NUMBER)),
        usage=_USAGE,
    ),
    "InfinityRequest": _object(
        "query documents",
        model=_TEXT,
        query=_TEXT,
        documents=_TEXTS,
        top_n=_COUNT,
        raw_scores=_FLAG,
        return_documents=_FLAG,
    ),
    "InfinityResponse": _RESULTS,
    "WeaviateRequest": _object("query", query=_TEXT, documents=_TEXTS, property=_TEXT),
    "WeaviateResponse": _object(
        "query",
        query=_TEXT,
        scores=_list(_object("document score", document=_TEXT, score=_NUMBER)),
        property=_TEXT,
        score=_NUMBER,
    ),
}

_NAMES = {
    "resift": "Resift",
    "tei": "Tei",
    "cohere": "Cohere",
    "cohere-v1": "CohereV1",
    "jina": "Jina",
    "voyage": "Voyage",
    "vllm": "Vllm",
    "vllm-score": "VllmScore",
    "infinity": "Infinity",
    "weaviate": "Weaviate",
    "common": "Common",
}
# Bodies whose keys lead to each shape that a path may have.
_BODIES: tuple[Json, ...] = (
    {},
    {"texts": []},
    {"property": ""},
    {"raw_scores": False},
    {"top_k": 1},
    {"model": "any"},
)

SHAPES: dict[str, tuple[str, ...]] = {
    path: tuple(dict.fromkeys(_NAMES[choose(body).name] for body in _BODIES))
    for path, choose in ROUTES.items()
}
"""For each path, the shapes that it may have, as the schemas name them."""
