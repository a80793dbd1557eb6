"""The Open Inference Protocol over HTTP: ``POST /v2/models/{model}/infer``, version 2 of KServe's.

It has tensors, and no words for rerankers. Their names here are those of the repository that
``resift export --target triton`` writes: ``query`` and ``texts`` in, ``scores`` or ``logits`` out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resift.protocols.reading import Fields, as_number
from resift.protocols.shape import Shape, body_of, raw_scores
from resift.protocols.wire import (
    About,
    Failure,
    Json,
    Limits,
    WireError,
    WireQuery,
    WireRequest,
    WireResponse,
    WireResult,
    WireScore,
)

_OUTPUTS = {"none": "logits", "sigmoid": "scores"}
# How the repository's model and Triton's queue say that the request's time-out has passed.
_LATE = ("time was up before", "Request timeout expired")


class KServe(Shape):
    """The words of Triton and of other servers of this protocol; the model is in the path.

    Tensors are read and written as JSON, one query at a time.
    """

    name = "kserve-v2"
    path = "/v2/models/{model}/infer"
    speaks = frozenset({"normalization", "deadline_ms"})
    limits = Limits(documents=1000)
    # 500 isn't among them: a model that fails will fail again.
    retried = frozenset({408, 429, 502, 503, 504})
    # A queue that is full, and what waited in it for too long, are a 503.
    overloaded = frozenset({429, 503})
    needs_all = needs_model = True
    # Triton's own route, with the parameters that the repository has for clients.
    about_path = "/v2/models/{model}/config"

    def encode_request(self, request: WireRequest) -> Json:
        self.check_said(request)
        raw = raw_scores(request)
        wanted = None if raw is None else [{"name": "logits" if raw else "scores"}]
        parameters = request.extra.get("parameters")
        if request.deadline_ms is not None:
            # Microseconds, as Triton has it.
            timeout = {"timeout": round(request.deadline_ms * 1000)}
            parameters = {**parameters, **timeout} if isinstance(parameters, Mapping) else timeout
        query = request.query
        return body_of(
            request,
            inputs=[_bytes("query", [query.query]), _bytes("texts", list(query.documents))],
            outputs=wanted,
            parameters=parameters,
        )

    def decode_request(self, body: Json) -> WireRequest:
        read = Fields(body)
        inputs = _by_name(read, "inputs")
        query, texts = (_strings(inputs, each) for each in ("query", "texts"))
        if len(query) != 1:
            raise WireError(f"query must have one string, not {len(query)}")
        outputs = _by_name(read, "outputs")
        wanted = [each for each, name in _OUTPUTS.items() if name in outputs]
        parameters = read.object("parameters")
        timeout = parameters.positive("timeout")
        rest = {"parameters": parameters.rest()} if parameters.rest() else {}
        return WireRequest(
            queries=(WireQuery(query=query[0], documents=texts),),
            normalization=wanted[0] if len(wanted) == 1 else None,
            deadline_ms=None if timeout is None else timeout / 1000,
            extra={**read.rest(), **rest},
        )

    def encode_response(self, response: WireResponse, request: WireRequest) -> Json:
        result = response.result
        by_index = sorted(result.scores, key=lambda each: each.index)
        return {
            **({} if result.id is None else {"id": result.id}),
            "model_name": result.model or request.model,
            "model_version": "1",
            "outputs": [
                {
                    "name": _OUTPUTS[request.normalization or "sigmoid"],
                    "datatype": "FP32",
                    "shape": [1, len(by_index)],
                    "data": [each.score for each in by_index],
                }
            ],
        }

    def decode_response(self, body: Json, request: WireRequest) -> WireResponse:
        read = Fields(body)
        outputs = _by_name(read, "outputs")
        # Where both are there, neither was asked for.
        name = next((each for each in ("scores", "logits") if each in outputs), None)
        if name is None:
            raise WireError("outputs must have 'logits' or 'scores'")
        data = outputs[name].required("data", outputs[name].items)
        result = WireResult(
            scores=tuple(
                WireScore(index=place, score=as_number(each, f"{name}.data[{place}]"))
                for place, each in enumerate(data)
            ),
            model=read.text("model_name"),
            id=read.text("id"),
            extra=read.rest(),
        )
        return WireResponse(results=(result,))

    def is_late(self, failure: Failure) -> bool:
        return failure.status == 503 and any(each in failure.message for each in _LATE)

    def decode_about(self, body: Json) -> About:
        read = Fields(body)
        if "logits" not in _by_name(read, "output"):
            raise WireError("output must have 'logits': the model is no reranker of resift")
        parameters = read.object("parameters")
        said: dict[str, str | None] = {}
        for name in ("model", "revision", "precision", "max_documents"):
            value = parameters.object(name)
            said[name] = value.text("string_value")
        most = said.pop("max_documents")
        if most is not None and not (most.isascii() and most.isdigit() and int(most) > 0):
            raise WireError("parameters.max_documents must be an integer of at least 1")
        return About(limits=Limits(documents=int(most)) if most else self.limits, **said)


def _bytes(name: str, texts: list[Any]) -> Json:
    return {"name": name, "shape": [1, len(texts)], "datatype": "BYTES", "data": texts}


def _by_name(body: Fields, key: str) -> dict[str, Fields]:
    found = {}
    for place, each in enumerate(body.items(key) or ()):
        tensor = Fields(each, f"{key}[{place}]")
        found[tensor.required("name", tensor.text)] = tensor
    return found


def _strings(inputs: dict[str, Fields], name: str) -> tuple[str, ...]:
    if name not in inputs:
        raise WireError(f"inputs must have {name!r}")
    tensor = inputs[name]
    if tensor.text("datatype") != "BYTES":
        raise WireError(f"{name} must be of the datatype 'BYTES'")
    return tensor.required("data", tensor.strings)
