"""The actors: those of the front, which have the routes, and those of pools, which score."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from resift.serving import Config, Server
from resift_ray.deployed import Answer, Asked, Deployed, Handle, answered


class Replica:
    """The part of all actors: they load their models before they are asked, and say how they are.

    Ray calls ``check_health`` every few seconds, and replaces an actor where that raises.
    """

    server: Server

    async def load(self, config: Config, handles: Mapping[str, Handle]) -> None:
        """Put the server together, and load the models of this process; raises what they raise."""
        loop = asyncio.get_running_loop()
        scorers = {name: Deployed(handle, name, loop) for name, handle in handles.items()}
        self.server = Server.of(config, scorers)
        await self.server.load()

    async def check_health(self) -> None:
        """Rank a pair with each model of this process; raises ``RuntimeError`` where that fails.

        A pair that waits behind others is no fault. Models elsewhere are not asked: another actor
        here would find them as they are.
        """
        own = self.server.own
        if own.names:
            state = await own.state()
            if not state.ready:
                raise RuntimeError(f"this actor can't rank: {state.reason}")


class Front(Replica):
    """The server's own ASGI application, with pools in place of their models."""

    # Ray awaits it.
    async def __init__(self, config: Config, handles: Mapping[str, Handle]) -> None:  # type: ignore[misc]
        await self.load(config, handles)

    def __serve_build_asgi_app__(self) -> Any:
        return _unmounted(self.server.app)


class Pooled(Replica):
    """Scores for the front, with models that are loaded."""

    # Ray awaits it.
    async def __init__(self, config: Config, threads: int) -> None:  # type: ignore[misc]
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resift-answer")
        await self.load(config, {})

    async def answer(self, asked: Asked) -> Answer:
        """Answer what a ``Deployed`` asks. When it is cancelled, it stops after the next batch."""
        scorer = self.server.models.find(asked.model).scorer
        cancelled, start = threading.Event(), time.perf_counter()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._threads, answered, asked, scorer, cancelled, start
            )
        except asyncio.CancelledError:
            cancelled.set()
            raise


def _unmounted(app: Any) -> Any:
    """The application below Ray's prefix of routes, which it knows as its own ``url_prefix``."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope = {**scope, "root_path": ""}
        await app(scope, receive, send)

    return call
