"""Errors of Ray's own proxies, in the words that clients of rerankers read.

For the environment of every node: ``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`` is
``resift_ray.proxy:middlewares``.
"""

from __future__ import annotations

from typing import Any

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from resift.serving import error_response

VARIABLE = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
"""The variable of the environment that Ray reads."""
HERE = "resift_ray.proxy:middlewares"
"""Its value."""

# What Ray says is text; what the server says never is.
_TEXT = "text/plain"
# Those that Ray says of a request that it has no answer to.
_STATUSES = {408, 429, 500, 503}
_LOST = (
    "the actor that had this request in work is gone, or failed, and gave no answer; send it again"
)


def middlewares() -> list[Any]:
    """Give what Ray puts around each of its proxies."""
    return [Middleware(Worded)]


class Worded:
    """An ASGI application around another, whose errors in plain text it puts into JSON.

    A request that is left without any answer gets one: the status 500.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        # Ray's own routes are for those who watch over it.
        if scope["type"] != "http" or scope["path"].startswith("/-/"):
            await self._app(scope, receive, send)
            return
        started: Message | None = None
        said = b""

        async def wording(message: Message) -> None:
            nonlocal started, said
            if message["type"] == "http.response.start":
                started = message
                if not _is_rays(message):
                    await send(message)
            elif started is not None and _is_rays(started):
                said += message.get("body", b"")
                if not message.get("more_body"):
                    headers = Headers(raw=started["headers"])
                    after = headers.get("retry-after")
                    text = said.decode("utf-8", "replace")
                    await _answer(started["status"], text, after and float(after))
            else:
                await send(message)

        async def _answer(status: int, text: str, after: Any) -> None:
            response = error_response(scope["path"], status, text, after or None)
            await response(scope, receive, send)

        await self._app(scope, receive, wording)
        if started is None:
            await _answer(500, _LOST, None)


def _is_rays(start: Message) -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "")
    return start["status"] in _STATUSES and kind.startswith(_TEXT)
