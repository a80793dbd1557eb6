"""The interface of wire shapes, and what most of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from resift.protocols.reading import Fields, loads
from resift.protocols.wire import (
    About,
    Failure,
    Json,
    Limits,
    WireError,
    WireQuery,
    WireRequest,
    WireResponse,
    WireScore,
)

SERVER_ERRORS = frozenset(range(500, 600))


class Shape(ABC):
    """A server's words for requests, answers and errors, in both directions.

    A client encodes requests and decodes answers, a server the other way round. Nothing here opens
    a connection: bodies are JSON values.
    """

    name: str
    path: str
    """The path of the server's route, from the root; ``{model}`` stands for the model's name."""
    speaks: frozenset[str] = frozenset()
    """The fields of ``WireRequest`` that can be said, beside ``queries`` and ``extra``."""
    scale: str = "logit"
    """The scale of the scores that a client gets: ``"logit"``, ``"order"``, or the server's own."""
    limits: Limits = Limits()
    retried: frozenset[int] = frozenset({408, 429}) | SERVER_ERRORS
    """HTTP statuses after which the same request may succeed."""
    overloaded: frozenset[int] = frozenset({429})
    """Those of ``retried`` that a server gives which works, and has too much to do."""
    several_queries: bool = False
    packs: bool = False
    """Whether a client does well to put several queries into one request."""
    tells_all: bool = False
    """Whether a result says all that ``Ranking.to_dict()`` does."""
    needs_model: bool = False
    needs_all: bool = False
    """Whether clients need a score for every document, unless they say how many."""
    about_path: str | None = None
    """The path where the server tells about itself, for ``decode_about``."""

    @abstractmethod
    def encode_request(self, request: WireRequest) -> Json:
        """Write a request. Raises ``WireError`` for a field that the shape can't say."""

    @abstractmethod
    def decode_request(self, body: Json) -> WireRequest:
        """Read a request; unknown keys are kept in ``extra``. Raises ``WireError``."""

    @abstractmethod
    def encode_response(self, response: WireResponse, request: WireRequest) -> Json:
        """Write the answer to a request."""

    @abstractmethod
    def decode_response(self, body: Json, request: WireRequest) -> WireResponse:
        """Read the answer to a request. Raises ``WireError``.

        Types are checked. Whether each document is there once is for the caller to check.
        """

    def encode_failure(self, failure: Failure) -> Json:
        """Write an error's body."""
        return {"error": failure.message}

    def decode_failure(self, status: int, body: bytes) -> Failure:
        """Read an error's body, whatever it is."""
        return read_failure(status, body)

    def is_late(self, failure: Failure) -> bool:
        """Whether a server gave up because the request's own ``deadline_ms`` had passed."""
        return False

    def decode_about(self, body: Json) -> About:
        """Read what the server tells about itself. Raises ``WireError``."""
        raise NotImplementedError

    def is_listwise(self, model: str | None) -> bool:
        """Whether a document's score depends on the others of the request."""
        return False

    def check_said(self, request: WireRequest) -> None:
        """Raise ``WireError`` for a request with fields that this shape has no words for."""
        said = {"queries", "extra", *self.speaks}
        for each in fields(WireRequest):
            if each.name not in said and getattr(request, each.name) not in (None, False):
                raise WireError(
                    f"{each.name} can't be said in the protocol {self.name!r}; leave it out"
                )
        if not self.several_queries and len(request.queries) != 1:
            raise WireError(f"the protocol {self.name!r} takes one query at a time")
        if any(each.first_stage_scores for each in request.queries) and not self.several_queries:
            raise WireError(f"first_stage_scores can't be said in the protocol {self.name!r}")


def body_of(request: WireRequest, **known: Any) -> dict[str, Any]:
    """A body of the ``known`` keys that aren't ``None``, and of the request's ``extra``."""
    return {**request.extra, **{key: value for key, value in known.items() if value is not None}}


def raw_scores(request: WireRequest) -> bool | None:
    """The switch that asks for logits, of servers whose other scores are a sigmoid of them.

    Raises ``WireError`` for a normalization that no switch gives.
    """
    if request.normalization not in (None, "none", "sigmoid"):
        raise WireError("normalization must be 'none' or 'sigmoid' in this protocol")
    return None if request.normalization is None else request.normalization == "none"


def normalization(raw: bool | None) -> str | None:
    """The reverse of ``raw_scores``."""
    return None if raw is None else "none" if raw else "sigmoid"


def strings_alone(body: Fields, key: str = "documents") -> WireQuery:
    """The query, and documents that are strings."""
    documents = body.required(key, body.strings)
    return WireQuery(query=body.required("query", body.text), documents=documents)


def texts_or_objects(body: Fields, key: str, names: Iterable[str] = ("text",)) -> WireQuery:
    """The query, and documents that are strings or objects.

    An object's text is made of its fields called ``names``, each a line.
    """
    given = body.required(key, body.items)
    texts = []
    for index, each in enumerate(given):
        if isinstance(each, str):
            texts.append(each)
            continue
        read = Fields(each, f"{key}[{index}]")
        parts = [value for value in map(read.text, names) if value is not None]
        if not parts:
            raise WireError(f"{key}[{index}] must be a string, or have one of {list(names)}")
        texts.append("\n".join(parts))
    return WireQuery(
        query=body.required("query", body.text),
        documents=tuple(texts),
        originals=None if texts == given else tuple(given),
    )


def asked_back(response: WireResponse, request: WireRequest) -> dict[int, Any] | None:
    """The texts of the documents in an answer by index; ``None`` where they weren't asked for."""
    if not request.return_documents:
        return None
    return {each.index: request.query.documents[each.index] for each in response.result.scores}


def encode_scores(
    scores: Iterable[WireScore], key: str, documents: Mapping[int, Any] | None = None
) -> list[dict[str, Any]]:
    """A list of ``{"index", key}``, and ``document`` where there are some."""
    found = []
    for each in scores:
        item: dict[str, Any] = {"index": each.index, key: each.score}
        if documents is not None:
            item["document"] = documents[each.index]
        found.append(item)
    return found


def decode_scores(body: Fields, name: str, key: str) -> tuple[WireScore, ...]:
    """The reverse of ``encode_scores``, of the list called ``name``."""
    found = []
    for place, each in enumerate(body.required(name, body.items)):
        item = Fields(each, f"{name}[{place}]")
        index = item.required("index", item.natural)
        score = item.required(key, item.number)
        document = item.any("document")
        found.append(WireScore(index=index, score=score, document=document, extra=item.rest()))
    return tuple(found)


def encode_openai_failure(failure: Failure) -> Json:
    """An error as OpenAI's clients read it."""
    kind = failure.kind or "invalid_request_error"
    return {
        "error": {"message": failure.message, "type": kind, "param": None, "code": failure.status}
    }


def encode_failure_for_all(failure: Failure) -> Json:
    """An error as all clients read it that don't expect an object: each has a key of its own."""
    message = failure.message
    return {
        "error": message,
        "error_type": failure.kind or "Validation",
        "message": message,
        "detail": message,
    }


def read_failure(status: int, body: bytes) -> Failure:
    """Read any of the known forms of an error's body; else the beginning of its text.

    Of a validation error's details only the place and the message are taken, as some servers
    repeat the input there.
    """
    try:
        said = loads(body)
    except WireError:
        return Failure(status=status, message=body[:500].decode("utf-8", "replace").strip())
    if not isinstance(said, Mapping):
        return Failure(status=status, message=said if isinstance(said, str) else "")
    error = said.get("error")
    inner = error if isinstance(error, Mapping) else {}
    kinds = (said.get("error_type"), inner.get("type"), said.get("type"))
    messages = (inner.get("message"), error, said.get("message"), said.get("detail"))
    return Failure(
        status=status,
        message=next((text for text in map(_message, messages) if text), ""),
        kind=next((kind for kind in kinds if isinstance(kind, str)), None),
    )


def _message(said: Json) -> str:
    if isinstance(said, str):
        return said
    if not isinstance(said, list):
        return ""
    parts = []
    for each in said:
        if isinstance(each, Mapping) and isinstance(each.get("msg"), str):
            place = each.get("loc")
            where = ".".join(map(str, place)) if isinstance(place, list) else ""
            parts.append(f"{where}: {each['msg']}" if where else each["msg"])
    return "; ".join(parts)
