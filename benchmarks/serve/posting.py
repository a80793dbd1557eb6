"""A client that costs little: it shares the processors with the server that is measured.

HTTP/1.1 with ``Content-Length``, which all of the servers answer with.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

_STATUS, _LENGTH, _CLOSE = b"HTTP/1.1 ", b"content-length:", b"connection: close"


@dataclass
class Connection:
    """One connection that is kept."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect to this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, request: bytes) -> None:
        """Send all of it."""
        self.writer.write(request)
        await self.writer.drain()

    async def answer(self) -> tuple[int, bytes, bool]:
        """Status, body, and whether the connection is still good.

        Raises ``OSError`` or ``EOFError`` where no whole answer came.
        """
        head = await self.reader.readuntil(b"\r\n\r\n")
        status = int(head[len(_STATUS) : len(_STATUS) + 3])
        small = head.lower()
        at = small.find(_LENGTH)
        length = int(small[at + len(_LENGTH) : small.index(b"\r\n", at)]) if at >= 0 else 0
        body = await self.reader.readexactly(length)
        return status, body, _CLOSE not in small

    async def close(self) -> None:
        """Close it."""
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


@dataclass
class Client:
    """Posts to a port of this machine; connections are kept, and made where none is free."""

    port: int
    _free: list[Connection] = field(default_factory=list)

    async def post(self, request: bytes) -> bytes:
        """Send a request and return the answer's body; raises ``OSError`` for another than 200."""
        connection = await self._connection()
        try:
            await connection.send(request)
            status, body, kept = await connection.answer()
        except BaseException:
            await connection.close()
            raise
        if kept:
            self._free.append(connection)
        else:
            await connection.close()
        if status != 200:
            raise OSError(f"status {status}: {body[:120].decode('utf-8', 'replace')}")
        return body

    async def close(self) -> None:
        """Close all connections."""
        for each in self._free:
            await each.close()
        self._free.clear()

    async def _connection(self) -> Connection:
        while self._free:
            found = self._free.pop()
            # Servers close what has been idle for some seconds.
            if not found.reader.at_eof():
                return found
            await found.close()
        return await Connection.open(self.port)


def request_of(path: str, body: bytes) -> bytes:
    """The bytes of a POST of JSON."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
