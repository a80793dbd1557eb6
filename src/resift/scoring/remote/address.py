"""The address of a server, checked and completed by a protocol's path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

from resift.errors import InvalidRequestError
from resift.redaction import shown

_VERSION = re.compile(r"/v[0-9]+")


@dataclass(frozen=True, slots=True)
class Address:
    """The place of a server."""

    url: str
    """The route that ranks, in full."""
    about: str
    """The route where the server tells about itself, if it has one."""
    server: str
    """Host and port, for messages."""

    @classmethod
    def of(
        cls, url: object, path: str, about: str | None = None, *, model: str | None = None
    ) -> Address:
        """Complete ``url`` by the route's ``path``, as far as it hasn't got it.

        In both paths, ``{model}`` stands for the model's name.

        ``http://host``, ``http://host/prefix/v1`` and ``http://host/prefix/v1/rerank`` name the
        same server. Raises ``InvalidRequestError`` for anything but ``http`` and ``https``, and
        for addresses with credentials.
        """
        parts = _split(url)
        path, about = (
            each.replace("{model}", quote(model or "", safe="")) for each in (path, about or "")
        )
        version = _VERSION.match(path)
        route = path[version.end() :] if version else path
        base = parts.path.rstrip("/").removesuffix(route)
        if parts.path.rstrip("/").endswith(route) or (version and base.endswith(version.group())):
            whole = base + route
        else:
            whole = base + path
        root = base.removesuffix(version.group()) if version else base
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return cls(
            url=parts._replace(path=whole).geturl(),
            about=parts._replace(path=root + about).geturl(),
            server=host + (f":{parts.port}" if parts.port else "") if host else "",
        )


def _split(url: object) -> SplitResult:
    wanted = "url must be the address of a server, such as 'https://api.example.com'"
    if not isinstance(url, str):
        raise InvalidRequestError(f"{wanted}, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known or re.search(r"[\x00-\x20\x7f]", url):
        raise InvalidRequestError(f"{wanted}; what was given isn't shown, as it may hold a key")
    if "@" in parts.netloc or parts.fragment:
        raise InvalidRequestError(
            f"url must have no credentials and no #fragment: {shown(url)}; give a key as key=…"
        )
    return parts
