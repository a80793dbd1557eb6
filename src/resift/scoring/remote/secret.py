"""A server's key, which nothing shows."""

from __future__ import annotations

from collections.abc import Callable

from resift.checks import check_token, check_token_source

Key = str | Callable[[], str | None] | None
"""A key, or a function that returns it, called before each request."""


class Secret:
    """Holds a key, so that no ``repr``, pickle or traceback with its variables has it.

    Raises ``InvalidRequestError`` for a key that can't be sent, without showing it.
    """

    __slots__ = ("_given",)

    def __init__(self, given: Key) -> None:
        self._given: Key = check_token_source("key", given)

    def header(self) -> dict[str, str]:
        """The header to send: none without a key."""
        given = self._given() if callable(self._given) else self._given
        checked = check_token("key", given)
        return {} if checked is None else {"Authorization": f"Bearer {checked}"}

    def is_in(self, text: str) -> bool:
        """Whether ``text`` has a part of the key, where that is no function."""
        given = self._given
        if not isinstance(given, str):
            return False
        size = min(8, len(given))
        return any(given[i : i + size] in text for i in range(len(given) - size + 1))

    def __repr__(self) -> str:
        return "Secret(None)" if self._given is None else "Secret(...)"

    def __reduce__(self) -> tuple[type[Secret], tuple[None]]:
        return Secret, (None,)
