"""The routes' common ground: keys, errors, and clients that leave."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive

from resift.protocols import Failure, Shape, dumps
from resift.protocols.routes import shape_of_path
from resift.protocols.shape import encode_failure_for_all
from resift.server.health import Health
from resift.server.keys import Keys
from resift.server.metrics import Metrics
from resift.server.note import Note
from resift.server.refusals import RefusedError, refused

_logger = logging.getLogger(__name__)

T = TypeVar("T")

Endpoint = Callable[[Request, Note], Awaitable[Response]]

# What nginx says of clients that left; nobody reads it but the log.
_LEFT = 499
# Their clients read an object in "error"; all others, a text.
_WITH_OBJECTS = frozenset({"vllm", "vllm-score", "infinity"})


def json_response(
    body: bytes, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """An answer that is JSON."""
    return Response(body, status, headers, media_type="application/json")


@dataclass(frozen=True, slots=True)
class Answering:
    """Runs endpoints, and turns what they raise into answers."""

    keys: Keys
    health: Health
    metrics: Metrics
    url_prefix: str = ""

    def guarded(self, path: str, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint that needs a key where there are any, and refuses while shutting down."""

        async def guarded(request: Request, note: Note) -> Response:
            note.key = self.keys.name_of(request.headers)
            if self.health.draining:
                raise RefusedError(
                    503,
                    "the server is shutting down; send the request to another",
                    kind="Unhealthy",
                    reason="draining",
                    retry_after=1.0,
                    closes=True,
                )
            return await endpoint(request, note)

        return self.open(path, guarded)

    def open(self, path: str, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint for everybody."""

        async def answer(request: Request) -> Response:
            note: Note = request.scope["resift.note"]
            note.path = path
            try:
                return await endpoint(request, note)
            except ClientDisconnect:
                self.metrics.refused("dropped")
                note.error = "the client left"
                return Response(status_code=_LEFT)
            # Whatever it is, the client gets an answer, and the server goes on.
            except Exception as error:
                return self._failed(error, note, request)

        return answer

    def _failed(self, error: Exception, note: Note, request: Request) -> Response:
        found = refused(error)
        if found is None:
            _logger.error("an answer failed", exc_info=error, extra={"request_id": note.request_id})
            found = RefusedError(
                500,
                f"the server met a fault of its own; its log has the request {note.request_id}",
                kind="Backend",
                reason="fault",
            )
        if found.status >= 500 and found.reason != "draining":
            self.health.forget()
        self.metrics.refused(found.reason)
        note.error = str(found)
        path = request.url.path.removeprefix(self.url_prefix)
        return failure_response(found, shape_of_path(path))


def failure_response(refused: RefusedError, shape: Shape) -> Response:
    """An error in the words that a shape's clients read."""
    return json_response(_failure(refused.failure, shape), refused.status, refused.headers())


def error_response(
    path: str, status: int, message: str, retry_after: float | None = None
) -> Response:
    """An error of what stands before the server, in the words that clients of ``path`` read.

    ``retry_after`` in seconds says when to come again.
    """
    kind = {429: "Overloaded", 503: "Unhealthy"}.get(status, "Backend")
    refused = RefusedError(status, message, kind=kind, retry_after=retry_after)
    return failure_response(refused, shape_of_path(path))


def _failure(failure: Failure, shape: Shape) -> bytes:
    if shape.name in _WITH_OBJECTS:
        return dumps(shape.encode_failure(failure))
    return dumps(encode_failure_for_all(failure))


async def unless_it_leaves(work: Coroutine[Any, Any, T], receive: Receive) -> T:
    """Do the work, or cancel it when the client leaves; its body must have been read.

    Raises ``ClientDisconnect`` where it has left.
    """
    doing = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise ClientDisconnect
        return doing.result()
    finally:
        for task in (doing, leaving):
            task.cancel()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
