"""The keys of clients: read from a file or the environment, and compared in constant time."""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from resift.errors import InvalidRequestError
from resift.server.refusals import RefusedError
from resift.server.settings import Settings

VARIABLE = "RESIFT_API_KEYS"
"""The environment variable with keys, or names and keys (``name=key``), with commas between."""

_SHORTEST = 8


class Keys:
    """Names of clients by the digests of their keys; none at all lets everybody in."""

    def __init__(self, names: Mapping[bytes, str]) -> None:
        self._names = dict(names)

    @classmethod
    def of(cls, settings: Settings, environment: Mapping[str, str] = os.environ) -> Keys:
        """Read the keys. Raises ``InvalidRequestError`` for none where they are required."""
        names: dict[bytes, str] = {}
        if settings.keys_file is not None:
            text = Path(settings.keys_file).read_text(encoding="utf-8")
            for number, line in enumerate(text.splitlines(), 1):
                if line.strip() and not line.lstrip().startswith("#"):
                    _add(names, line, f"{settings.keys_file}, line {number}")
        for place, each in enumerate(environment.get(VARIABLE, "").split(","), 1):
            if each.strip():
                _add(names, each, f"{VARIABLE}, key {place}")
        needed = not settings.is_local if settings.require_keys is None else settings.require_keys
        if needed and not names:
            raise InvalidRequestError(
                f"host={settings.host!r} listens beyond this machine, or require_keys is set, and "
                f"there are no keys: give keys_file=, or {VARIABLE}; or require_keys=false "
                "(--no-keys) where something in front of it checks who asks"
            )
        return cls(names)

    @property
    def are_required(self) -> bool:
        """Whether there are any, so that requests need one."""
        return bool(self._names)

    def name_of(self, headers: Mapping[str, str]) -> str | None:
        """The name of the key that a request has; ``None`` where none is needed.

        Raises ``RefusedError`` for a missing or a wrong one.
        """
        if not self._names:
            return None
        scheme, _, value = headers.get("authorization", "").partition(" ")
        given = value.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        if not given:
            raise _unauthorized("a key is missing: send the header 'Authorization: Bearer KEY'")
        digest, found = _digest(given), None
        # All of them, however early one fits.
        for known, name in self._names.items():
            if hmac.compare_digest(known, digest):
                found = name
        if found is None:
            raise _unauthorized("the key isn't one of this server's")
        return found


def _add(names: dict[bytes, str], text: str, where: str) -> None:
    name, separator, key = (part.strip() for part in text.strip().partition("="))
    if not separator:
        name, key = "", name
    if len(key) < _SHORTEST or not (key.isascii() and key.isprintable()) or " " in key:
        raise InvalidRequestError(
            f"{where} must be a key, or name=key, of at least {_SHORTEST} visible ASCII characters "
            "without spaces; it isn't shown"
        )
    digest = _digest(key)
    names[digest] = name or f"key-{digest.hex()[:8]}"


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogateescape")).digest()


def _unauthorized(message: str) -> RefusedError:
    return RefusedError(401, message, kind="Unauthorized", reason="unauthorized")
