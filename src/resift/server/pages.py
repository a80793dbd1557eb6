"""The page at ``/``, from files that come with resift."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from resift.server.note import Note
from resift.server.refusals import RefusedError

_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_HEADERS = {
    # Nothing from elsewhere, and nothing that a document's text could bring along.
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


async def show_page(_request: Request, _note: Note) -> Response:
    """The page itself."""
    return _file("index.html")


async def show_file(request: Request, _note: Note) -> Response:
    """One of its files."""
    return _file(request.path_params["name"])


def _file(name: str) -> Response:
    found = _files().get(name)
    if found is None:
        raise RefusedError(404, f"there is no {name!r} here", reason="not_found")
    kind = _TYPES[name.rpartition(".")[2]]
    return Response(found, headers=_HEADERS, media_type=kind)


@cache
def _files() -> dict[str, bytes]:
    """The files by name: there are few, and no path leads out of a dict."""
    folder = files("resift.server") / "page"
    found = (each for each in folder.iterdir() if each.name.rpartition(".")[2] in _TYPES)
    return {each.name: each.read_bytes() for each in found}
