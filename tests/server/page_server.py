"""A server of the page and of the two routes that it asks, on loopback, with real models."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import resift
from resift import InvalidRequestError, Reranker
from resift.protocols import PROTOCOLS, WireError, WireResponse, WireResult, dumps, loads

PAGE = Path(resift.__file__).parent / "server/page"
SHAPE = PROTOCOLS["resift"]
CSP = "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
OPTIONS = (
    *("top_n", "normalization", "score_threshold", "max_length", "long_documents"),
    *("prune", "prior", "deadline_ms"),
)


@dataclass
class PageServer:
    """The server's address, and what a test may set."""

    url: str = ""
    key: str | None = None
    """The API key that it asks for."""
    failure: tuple[int, dict[str, str], Any] | None = None
    """A status, headers and a body in place of a ranking."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """The bodies that it got."""


@contextmanager
def serving(models: Mapping[str, Reranker], prefix: str = "/") -> Iterator[PageServer]:
    """Serve the models, the first of which is the default."""
    state = PageServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix(prefix)
            file = PAGE / (path.removeprefix("page/") or "index.html")
            if path == "v1/models" and self.allowed():
                self.answer(200, dumps({"object": "list", "data": _listed(models)}))
            elif path != "v1/models" and file.is_file():
                kind = mimetypes.guess_type(file.name)[0] or "text/plain"
                self.answer(200, file.read_bytes(), {"Content-Type": kind})
            elif path != "v1/models":
                self.answer(404, b"{}")

        def do_POST(self) -> None:
            body = loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not self.allowed():
                return
            state.bodies.append(body)
            if state.failure:
                status, headers, said = state.failure
                self.answer(status, json.dumps(said).encode(), headers)
                return
            try:
                self.answer(200, dumps(_ranked(models, body)))
            except (InvalidRequestError, WireError) as error:
                self.answer(422, dumps({"error": str(error), "error_type": "Validation"}))

        def allowed(self) -> bool:
            allowed = state.key in (None, (self.headers["Authorization"] or "")[len("Bearer ") :])
            if not allowed:
                self.answer(401, dumps({"error": "no such key", "error_type": "Unauthorized"}))
            return allowed

        def answer(self, status: int, body: bytes, headers: Mapping[str, str] = {}) -> None:
            self.send_response(status)
            usual = {"Content-Type": "application/json", "Content-Security-Policy": CSP}
            for name, value in {**usual, **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}{prefix}"
    # By default it looks twice a second whether it is to end.
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _listed(models: Mapping[str, Reranker]) -> list[dict[str, Any]]:
    return [
        {
            "id": name,
            "object": "model",
            "aliases": [],
            "default": place == 0,
            "loaded": True,
            "kind": "local",
        }
        for place, name in enumerate(models)
    ]


def _ranked(models: Mapping[str, Reranker], body: Any) -> Any:
    request = SHAPE.decode_request(body)
    reranker = models[request.model or next(iter(models))]
    options = {name: getattr(request, name) for name in OPTIONS}
    results = []
    for each in request.queries:
        ranking = reranker.rank(
            each.query, each.documents, first_stage_scores=each.first_stage_scores, **options
        ).to_dict()
        if request.return_cuts:
            given = {name: options[name] for name in ("max_length", "long_documents")}
            _tell_cuts(reranker, each.query, each.documents, given, ranking)
        results.append(WireResult.of(ranking))
    return SHAPE.encode_response(WireResponse(results=tuple(results)), request)


def _tell_cuts(
    reranker: Reranker, query: str, documents: Any, options: Any, ranking: dict[str, Any]
) -> None:
    try:
        cuts = reranker.cuts(query, documents, **options)
    except InvalidRequestError:
        # Of a scorer that can't tell.
        return
    for each in ranking["results"]:
        each["cut_at"] = cuts[each["index"]]
