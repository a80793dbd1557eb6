"""Labelling on a page that this machine alone can open, served while it is needed."""

from __future__ import annotations

import hmac
import json
import secrets
import sys
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from threading import Lock, Thread
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from resift.errors import InvalidRequestError
from resift.labelling.session import Session
from resift.labelling.shown import escaped, marked

_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LONGEST = 10_000


def label_in_browser(session: Session) -> None:
    """Serve the page until the person quits there, or interrupts this process."""
    server = Pages(session)
    sys.stdout.write(f"{server.url}\nOpen it in a browser on this machine. Control and C end it.\n")
    sys.stdout.flush()
    try:
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        # What was judged is in the file.
        sys.stdout.write("\n")
    finally:
        server.server_close()
        # Never released: a request that is still in work may not write to a closed file.
        server.lock.acquire()


class Pages(ThreadingHTTPServer):
    """A server of one session, at an address that nobody can guess."""

    daemon_threads = True

    def __init__(self, session: Session) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.session, self.lock = session, Lock()
        self.token = secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"

    def state(self) -> dict[str, Any]:
        """All that the page shows, with texts in pieces: no text is read as HTML."""
        session = self.session
        found: dict[str, Any] = {
            "done": session.done,
            "total": len(session.pairs),
            "skipped": len(session.skipped),
            "grades": [[grade, session.meaning(grade)] for grade in session.grades],
            "at": session.at,
        }
        if session.at is not None:
            pair = session.pair(session.at)
            query = escaped(pair.query)
            found |= {"query": query, "given": session.given(session.at)}
            found["document"] = marked(escaped(pair.document), query)
        return found

    def act(self, asked: dict[str, Any]) -> None:
        """Do what a button says. Raises ``InvalidRequestError`` for what no button sends."""
        session, at, grade = self.session, asked.get("at"), asked.get("grade")
        match asked.get("do"):
            # A bool is an int, too.
            case "grade" if self._is_place(at) and type(grade) is int:
                session.grade(at, grade)
            case "skip" if self._is_place(at):
                session.skip(at)
            case "back":
                session.back()
            case "quit":
                pass
            case _:
                raise InvalidRequestError(f"there is no such action: {asked!r:.200}")

    def _is_place(self, at: object) -> TypeGuard[int]:
        return type(at) is int and 0 <= at < len(self.session.pairs)


class _Handler(BaseHTTPRequestHandler):
    """Answers for whoever knows the token, and comes from the page itself."""

    server: Pages
    timeout = 30

    def do_GET(self) -> None:
        """Send one of the page's files, or what there is to show."""
        name = self._name()
        if name is None:
            return
        if name == "state":
            with self.server.lock:
                self._answer(HTTPStatus.OK, self.server.state())
        elif (content := _files().get(name or "index.html")) is not None:
            kind = _TYPES[(name or "index.html").rpartition(".")[2]]
            self._send(HTTPStatus.OK, content, kind)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")

    def do_POST(self) -> None:
        """Do what a button says, and send what there is to show then."""
        name = self._name()
        if name is None:
            return
        origin = self.headers.get("Origin")
        if name != "state" or (origin is not None and origin != self._origin()):
            self._refuse(HTTPStatus.FORBIDDEN, "only the page itself may do this")
            return
        try:
            length = int(self.headers.get("Content-Length", ""))
            asked = json.loads(self.rfile.read(length)) if 0 <= length <= _LONGEST else None
        except (ValueError, RecursionError):
            asked = None
        if not isinstance(asked, dict):
            self._refuse(HTTPStatus.BAD_REQUEST, "expected a small JSON object")
            return
        with self.server.lock:
            try:
                self.server.act(asked)
            except InvalidRequestError as error:
                self._refuse(HTTPStatus.BAD_REQUEST, str(error))
            except OSError as error:
                # The disk may be full; the page says so, and the grade isn't counted.
                self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"it isn't saved: {error}")
            else:
                self._answer(HTTPStatus.OK, self.server.state())
                if asked["do"] == "quit":
                    # It waits for the loop of requests, and so for its caller, to end.
                    Thread(target=self.server.shutdown, daemon=True).start()

    def log_message(self, *_: object) -> None:
        """Keep addresses, which have the token, off the terminal."""

    def _name(self) -> str | None:
        """Read what is asked for behind the token; ``None`` where an error was sent instead."""
        # A page elsewhere whose name leads here, too, would send its own name.
        if self.headers.get("Host") != urlsplit(self._origin()).netloc:
            self._refuse(HTTPStatus.FORBIDDEN, "this is for 127.0.0.1 alone")
            return None
        token, slash, name = urlsplit(self.path).path.removeprefix("/").partition("/")
        if not slash or not hmac.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")
            return None
        return name

    def _origin(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self._answer(status, {"error": message})

    def _answer(self, status: HTTPStatus, content: dict[str, Any]) -> None:
        self._send(status, json.dumps(content).encode(), "application/json")

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@cache
def _files() -> dict[str, bytes]:
    """The files by name: there are few, and no path leads out of a dict.

    Colours and forms are those of the server's page.
    """
    found = list((files("resift") / "labelling/page").iterdir())
    found += [files("resift") / "server/page" / name for name in ("page.css", "icon.svg")]
    return {
        each.name: each.read_bytes() for each in found if each.name.rpartition(".")[2] in _TYPES
    }
