"""The engine's keywords as LangChain's classes take them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from resift import RerankerOptions
from resift.adapter import SharedOptions, Token


class Options(SharedOptions, total=False):
    """``resift.RerankerOptions``, with the type that LangChain has for secrets."""

    device: str | None
    token: Token | SecretStr


def plain(options: Mapping[str, Any]) -> RerankerOptions:
    """Turn options into the engine's keywords; unknown ones stay, for the engine to refuse."""
    given: Any = {**options}
    if "token" in given:
        given["token"] = plain_token(given["token"])
    return given  # type: ignore[no-any-return]


def plain_token(token: object) -> Any:
    """The text in a ``SecretStr``; anything else unchanged."""
    return token.get_secret_value() if isinstance(token, SecretStr) else token
