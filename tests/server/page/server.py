"""A server for the page: the real one, which notes what it is asked, and can be made to fail."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from server.running import serving as serving_real
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from resift import Reranker
from resift.server.app import Server
from resift.server.config import Config

MODELS = {name: Reranker(name) for name in ("resift-small", "resift-nano")}
"""The same in this process."""


@dataclass
class PageServer:
    """The page's address, and what a test may set."""

    server: Server
    url: str = ""
    failure: tuple[int, dict[str, str], Any] | None = None
    """A status, headers and a body in place of a ranking."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """The bodies that it got."""

    @property
    def key(self) -> str | None:
        """The API key that it asks for."""
        raise AttributeError("it is only set")

    @key.setter
    def key(self, key: str | None) -> None:
        names = {} if key is None else {sha256(key.encode()).digest(): "a test"}
        self.server.keys._names = names


@contextmanager
def serving(models: Iterable[str] = MODELS, prefix: str = "") -> Iterator[PageServer]:
    """Serve bundled models, the first of which is the default."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "resift.toml")
        tables = [f'[models.{name}]\nmodel = "{name}"\npreload = true' for name in models]
        settings = f'[server]\nport = 0\ndrain_seconds = 0\nurl_prefix = "{prefix}"'
        file.write_text("\n".join([settings, *tables]), encoding="utf-8")
        server = Server.of(Config.read(file))
    state = PageServer(server)
    noting = replace(server, app=_Noting(server.app, state))
    with serving_real(noting) as address:
        state.url = f"{address}{prefix}/"
        yield state


class _Noting:
    """Notes the bodies of rankings before the server gets them."""

    def __init__(self, app: ASGIApp, state: PageServer) -> None:
        self._app, self._state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].endswith("/v1/rank"):
            await self._app(scope, receive, send)
            return
        messages: list[Message] = []
        more = True
        while more:
            messages.append(await receive())
            more = messages[-1].get("more_body", False)
        body = b"".join(each.get("body", b"") for each in messages)
        passed = iter(messages)

        async def again() -> Message:
            return next(passed, None) or await receive()

        statuses: list[int] = []

        async def noting(message: Message) -> None:
            statuses.append(message.get("status", 0))
            await send(message)

        if self._state.failure is not None:
            status, headers, said = self._state.failure
            answer = Response(json.dumps(said), status, headers, media_type="application/json")
            self._state.bodies.append(json.loads(body))
            await answer(scope, again, send)
            return
        await self._app(scope, again, noting)
        if statuses[:1] != [401]:
            self._state.bodies.append(json.loads(body))
