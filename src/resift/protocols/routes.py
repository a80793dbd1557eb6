"""The routes of a server that speaks every protocol: which shape a request has.

Several servers' clients post to the same path; their keys tell them apart. Under the name of a
protocol, such as ``/infinity/rerank``, a path has that protocol's shape alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from resift.protocols.common import Common
from resift.protocols.reading import kind_of
from resift.protocols.shape import Shape
from resift.protocols.table import PROTOCOLS
from resift.protocols.wire import Json, WireError

COMMON = Common()
_COMMON_OR_VOYAGE = Common(voyage=True)

Choice = Callable[[Mapping[str, Any]], Shape]
"""Takes a request's body and returns its shape."""


def _fixed(name: str) -> Choice:
    return lambda _: PROTOCOLS[name]


def _rerank(body: Mapping[str, Any]) -> Shape:
    if "texts" in body:
        return PROTOCOLS["tei"]
    if "property" in body:
        return PROTOCOLS["weaviate"]
    if "raw_scores" in body:
        return PROTOCOLS["infinity"]
    return PROTOCOLS["voyage"] if _is_voyage(body) else COMMON


def _rerank_1(body: Mapping[str, Any]) -> Shape:
    if _is_voyage(body):
        return PROTOCOLS["voyage"]
    # LiteLLM sends Voyage none of its own words, unless it has a top_k.
    return COMMON if "top_n" in body else _COMMON_OR_VOYAGE


def _is_voyage(body: Mapping[str, Any]) -> bool:
    return "top_n" not in body and ("top_k" in body or "truncation" in body)


def _rerank_2(body: Mapping[str, Any]) -> Shape:
    # Version 2 always names a model; vLLM needn't.
    return PROTOCOLS["cohere"] if body.get("model") is not None else COMMON


ROUTES: dict[str, Choice] = {
    "/v1/rank": _fixed("resift"),
    "/rerank": _rerank,
    "/": _fixed("tei"),
    "/invocations": _rerank,
    "/v1/rerank": _rerank_1,
    "/v2/rerank": _rerank_2,
    "/score": _fixed("vllm-score"),
    "/v1/score": _fixed("vllm-score"),
    "/tei": _fixed("tei"),
    "/tei/rerank": _fixed("tei"),
    "/cohere/v1/rerank": _fixed("cohere-v1"),
    "/cohere/v2/rerank": _fixed("cohere"),
    "/jina/v1/rerank": _fixed("jina"),
    "/voyage/v1/rerank": _fixed("voyage"),
    "/vllm/rerank": _fixed("vllm"),
    "/vllm/v1/rerank": _fixed("vllm"),
    "/vllm/v2/rerank": _fixed("vllm"),
    "/vllm/score": _fixed("vllm-score"),
    "/vllm/v1/score": _fixed("vllm-score"),
    "/infinity/rerank": _fixed("infinity"),
    "/infinity/v1/rerank": _fixed("infinity"),
    "/weaviate/rerank": _fixed("weaviate"),
}
"""For each path that ranks, the choice of a shape by the keys of the body."""


def choose_shape(path: str, body: Json) -> Shape:
    """The shape of a request to a path of ``ROUTES``. Raises ``WireError`` for no object."""
    if not isinstance(body, Mapping):
        raise WireError(f"the body must be an object, not {kind_of(body)}")
    return ROUTES[path](body)


def shape_of_path(path: str) -> Shape:
    """The shape for errors of a path, while the body isn't known."""
    choice = ROUTES.get(path)
    return COMMON if choice is None else choice({"model": ""})
