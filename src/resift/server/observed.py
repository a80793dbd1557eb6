"""The frame of each request: its number, its span, its metrics, and its line in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from resift.server.logs import ACCESS
from resift.server.metrics import Metrics
from resift.server.note import Note
from resift.server.tracing import Tracer


class Observed:
    """An ASGI application around another.

    ``draining`` says whether connections should be closed, so that clients go elsewhere.
    """

    def __init__(
        self, app: ASGIApp, *, metrics: Metrics, tracer: Tracer, draining: Callable[[], bool]
    ) -> None:
        self._app, self._metrics, self._tracer, self._draining = app, metrics, tracer, draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        note = scope["resift.note"] = Note.of(headers)
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answer = MutableHeaders(scope=message)
                answer["x-request-id"] = note.request_id
                if self._draining():
                    answer["connection"] = "close"
            await send(message)

        with self._tracer.request(f"{scope['method']} {scope['path']}", headers) as span:
            try:
                await self._app(scope, receive, noting)
            finally:
                span.set(
                    http__request__method=scope["method"],
                    http__route=note.path,
                    http__response__status_code=status,
                    **{f"resift__{name}": value for name, value in note.facts.items()},
                )
                if status >= 500:
                    span.fail(note.error or "")
                self._metrics.answered(note.path, note.protocol, status, note.seconds)
                self._log(scope, note, status, span.trace_id)

    def _log(self, scope: Scope, note: Note, status: int, trace_id: str | None) -> None:
        client = scope.get("client")
        # Probes come every few seconds.
        quiet = note.path.startswith(("/health", "/.well-known", "/ping", "/metrics"))
        ACCESS.log(
            logging.DEBUG if quiet and status < 400 else logging.INFO,
            "%s %s %d",
            scope["method"],
            scope["path"],
            status,
            extra={
                "request_id": note.request_id,
                "trace_id": trace_id,
                "client": client[0] if client else None,
                "key": note.key,
                "protocol": note.protocol or None,
                "milliseconds": round(note.seconds * 1000, 2),
                "error": note.error,
                **note.facts,
            },
        )
