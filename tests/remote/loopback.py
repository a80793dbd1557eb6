"""Reranking servers on 127.0.0.1, one for each wire shape, with faults that are asked for.

A document's score is the number that its text is, so that every order can be told beforehand.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from resift import Ranking, Reranker
from resift.call import Call
from resift.protocols import (
    PROTOCOLS,
    Failure,
    WireRequest,
    WireResponse,
    WireResult,
    WireScore,
    dumps,
    loads,
)
from resift.scoring import Scored, Source
from resift.scoring.remote.asking import Clock


@dataclass(frozen=True)
class Reply:
    """An answer as it goes over the wire."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None
    """How many bytes of the body are sent before the connection is closed; ``None`` for all."""
    asked: Any = None
    """The JSON that it answers."""
    drip: float = 0.0
    """Seconds before each byte of the body."""


Fault = Callable[[Reply], Reply]
"""Turns the right answer into another."""


@dataclass
class Loopback:
    """A server: what it was asked, and what it does next."""

    shape: str
    url: str = ""
    bodies: list[Any] = field(default_factory=list)
    """The JSON of each request to rank, in order."""
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    """For the next requests, one each."""
    always: Fault | None = None
    about: dict[str, Any] | None = None
    silent: bool = False
    """Whether it never answers what it is asked about itself."""
    ranks: Callable[[WireRequest], WireResponse] | None = None
    """What answers in place of the numbers."""
    connections: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: WireRequest) -> Any:
        """The right answer."""
        shape = PROTOCOLS[self.shape]
        if self.ranks is not None:
            response = self.ranks(request)
        elif shape.tells_all:
            response = self._rankings(request)
        else:
            response = WireResponse(results=tuple(map(_result, _asked(request))))
        return shape.encode_response(response, request)

    def _rankings(self, request: WireRequest) -> WireResponse:
        rankings: list[Ranking] = Reranker(scorer=Numbers()).rank_many(
            [(each.query, each.documents) for each in request.queries],
            normalization="none",
            top_n=request.top_n,
        )
        return WireResponse(results=tuple(WireResult.of(each.to_dict()) for each in rankings))


class Numbers:
    """Gives each text the number that it is."""

    source = Source(model="numbers", backend="abacus", revision="7", precision="fp32")

    def warm_up(self, call: Call) -> None:
        pass

    def score(self, requests: Any, call: Call) -> list[Scored]:
        return [
            Scored(
                logits=np.array([float(text) for text in each.texts], np.float32),
                scored=np.ones(len(each.texts), bool),
                pairs=np.ones(len(each.texts), np.int64),
                truncated_tokens=np.array([int(text == "5") for text in each.texts], np.int64),
                source=self.source,
                tokens=len(each.texts),
                padded_tokens=len(each.texts),
            )
            for each in requests
        ]


def _asked(request: WireRequest) -> list[tuple[WireRequest, list[float]]]:
    found = []
    for query in request.queries:
        numbers = [_number(text or "") for text in query.documents]
        if request.normalization != "none":
            numbers = [1 / (1 + math.exp(-number)) for number in numbers]
        found.append((request, numbers))
    return found


def _result(asked: tuple[WireRequest, list[float]]) -> WireResult:
    request, numbers = asked
    order = sorted(range(len(numbers)), key=lambda index: -numbers[index])
    scores = tuple(WireScore(index=index, score=numbers[index]) for index in order)
    return WireResult(scores=scores[: request.top_n], model=request.model, id="1", tokens=11)


def _number(text: str) -> float:
    try:
        return float(text.split()[0])
    except (IndexError, ValueError):
        return 0.0


@contextmanager
def serve(shape: str) -> Iterator[Loopback]:
    """Run a server; its requests end with it."""
    loopback = Loopback(shape)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body in one segment, or each answer waits 40 ms for an acknowledgement.
        wbufsize = 2**16

        def setup(self) -> None:
            super().setup()
            loopback.connections += 1

        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            loopback.paths.append(self.path)
            if loopback.silent:
                loopback.ended.wait(5)
            status = 404 if loopback.about is None else 200
            self._send(Reply(dumps(loopback.about or {"error": "no such route"}), status))

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = loads(self.rfile.read(length))
            loopback.paths.append(self.path)
            loopback.bodies.append(body)
            loopback.headers.append({k.lower(): v for k, v in self.headers.items()})
            fault = loopback.faults.pop(0) if loopback.faults else loopback.always
            request = PROTOCOLS[shape].decode_request(body)
            reply = Reply(dumps(loopback.answer(request)), asked=body)
            self._send(fault(reply) if fault else reply)

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            headers = {"Content-Type": "application/json", "Content-Length": str(len(reply.body))}
            for name, value in {**headers, **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if reply.drip:
                self._drip(reply)
            else:
                self.wfile.write(reply.body[: reply.sent])
            if reply.sent is not None:
                self.close_connection = True

        def _drip(self, reply: Reply) -> None:
            with suppress(OSError):
                for byte in reply.body:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    if loopback.ended.wait(reply.drip):
                        break

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    loopback.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield loopback
    finally:
        loopback.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


class TestClock(Clock):
    """Time that passes only where somebody sleeps."""

    __test__ = False

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead

    def sleep(self, seconds: float, woken: threading.Event) -> None:
        self.slept.append(seconds)
        self.ahead += seconds


def failing(shape: str, status: int, message: str = "no", **headers: str) -> Fault:
    """Answer with an error, in the shape's words."""
    body = dumps(PROTOCOLS[shape].encode_failure(Failure(status=status, message=message)))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Reply(body, status, named)


def changed(change: Callable[[Any], Any]) -> Fault:
    """Change the right answer's JSON; NaN may be in it."""
    return lambda reply: Reply(json.dumps(change(loads(reply.body))).encode())
