"""Listening: uvicorn, with slow heads cut off, and a shutdown that loses no request."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from resift.server.app import Server
from resift.server.config import Config
from resift.server.logs import configure
from resift.server.tracing import export_to

_logger = logging.getLogger(__name__)

# Seconds between looks at whether all requests are done.
_LOOK = 0.05
# Open files, of which each connection is one; many systems allow 1,024 until they are asked.
_FILES = 65_536


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT, and then until the accepted requests are done.

    Raises ``InvalidRequestError`` for a configuration that can't be served, and ``OSError`` for an
    address that can't be listened at.
    """
    settings = config.settings
    configure(settings.log_format)
    finish = export_to(settings.otlp_endpoint)
    _allow_many_files()
    try:
        Listening(Server.of(config)).run()
    finally:
        finish()


class Listening(uvicorn.Server):
    """uvicorn's server, which closes its sockets only after clients were told to go elsewhere."""

    def __init__(self, server: Server) -> None:
        settings = server.config.settings
        super().__init__(
            uvicorn.Config(
                server.app,
                host=settings.host,
                port=settings.port,
                http=_http_protocol(settings.header_seconds),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=int(settings.keep_alive_seconds),
                timeout_graceful_shutdown=max(1, int(settings.shutdown_seconds)),
            )
        )
        self._server, self._settings = server, settings
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: Any = None) -> None:
        """Listen; the models are loaded meanwhile."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Begin the shutdown; a second signal ends it at once."""
        if self._loop is None or self.should_exit or self._draining is not None:
            self.should_exit = self.force_exit = True
            return
        # Somebody at a terminal has no balancer to tell.
        pause = 0.0 if sig == signal.SIGINT else self._settings.drain_seconds
        self._loop.call_soon_threadsafe(self._drain_after, pause)

    def _drain_after(self, pause: float) -> None:
        if self._draining is None:
            self._draining = asyncio.ensure_future(self._drain(pause))

    async def _drain(self, pause: float) -> None:
        admission, health = self._server.admission, self._server.health
        end = time.monotonic() + self._settings.shutdown_seconds
        health.draining = True
        _logger.info("shutting down: %d requests are in work", admission.requests)
        await asyncio.sleep(min(pause, self._settings.shutdown_seconds))
        while admission.is_busy and time.monotonic() < end:
            await asyncio.sleep(_LOOK)
        if admission.is_busy:
            _logger.warning(
                "%d requests weren't done in shutdown_seconds=%g",
                admission.requests,
                self._settings.shutdown_seconds,
            )
        # What is left of the time, for answers that are on their way.
        self.config.timeout_graceful_shutdown = max(1, round(end - time.monotonic()))
        self.should_exit = True


def _http_protocol(header_seconds: float) -> type[H11Protocol]:
    """Uvicorn's protocol, which closes a connection whose request takes too long to begin."""

    class Protocol(H11Protocol):
        _waiting: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._wait_for_head()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._wait_for_head()

        def handle_events(self) -> None:
            super().handle_events()
            if not self._is_between():
                self._stop_waiting()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def _wait_for_head(self) -> None:
            # One that isn't whole: since its first bytes, and no later ones.
            if self._is_between() and self.conn.trailing_data[0]:
                self._wait()

        def _is_between(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _wait(self) -> None:
            if self._waiting is None and header_seconds:
                self._waiting = self.loop.call_later(header_seconds, self._give_up)

        def _stop_waiting(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None

        def _give_up(self) -> None:
            self._waiting = None
            if not self.transport.is_closing():
                self.transport.close()

    return Protocol


def _allow_many_files() -> None:
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
