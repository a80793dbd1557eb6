"""The reading of bodies: in time, within bounds, and what isn't read is let go by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from resift.server.refusals import RefusedError, too_large
from resift.server.settings import Limits, Settings

# Seconds in which the rest of a body that is too large may arrive, before the connection is closed:
# many clients send all of it before they read the answer.
_PATIENCE = 15.0


async def read_body(
    receive: Receive,
    headers: Mapping[str, str],
    take: Callable[[int], None],
    *,
    limits: Limits,
    settings: Settings,
) -> bytes:
    """Read a body, telling ``take`` of its bytes as they come.

    Raises ``RefusedError`` for one that is too large (413), too slow (408), or that there is no
    room for now (429), and ``ClientDisconnect``.
    """
    body = _Body(receive)
    try:
        async with asyncio.timeout(settings.body_seconds or None):
            return await _whole(body, headers, take, limits.body_bytes)
    except TimeoutError:
        raise RefusedError(
            408,
            f"the body didn't arrive within {settings.body_seconds:g} seconds",
            reason="slow",
            closes=True,
        ) from None
    except RefusedError as error:
        error.closes = True
        # Who waits for "100 Continue" hasn't sent anything.
        if "expect" not in headers:
            await body.let_go_by()
        raise


class _Body:
    """The parts of a body, as they come."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._is_over = receive, False

    async def parts(self) -> AsyncIterator[bytes]:
        while not self._is_over:
            message: Message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self._is_over = not message.get("more_body", False)
            yield message.get("body", b"")

    async def let_go_by(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                async for _ in self.parts():
                    pass
        except (TimeoutError, ClientDisconnect):
            return


async def _whole(
    body: _Body, headers: Mapping[str, str], take: Callable[[int], None], most: int
) -> bytes:
    if headers.get("content-encoding", "identity") != "identity":
        raise RefusedError(415, "the body is compressed; send it as it is")
    announced = headers.get("content-length", "")
    if announced.isdecimal():
        _check(int(announced), most)
    parts: list[bytes] = []
    size = 0
    async for part in body.parts():
        size += len(part)
        _check(size, most)
        take(len(part))
        parts.append(part)
    return b"".join(parts)


def _check(size: int, most: int) -> None:
    if size > most:
        raise too_large(
            f"the body has {size} bytes or more, and {most} are accepted (body_bytes); send fewer "
            "or shorter documents at a time"
        )
