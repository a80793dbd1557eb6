"""Bodies as JSON, and the checked reading of their keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from resift.protocols.wire import Json, WireError

T = TypeVar("T")


def loads(body: bytes) -> Json:
    """Parse a body. Raises ``WireError`` for what isn't JSON in UTF-8."""
    try:
        return json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else "not JSON in UTF-8"
        raise WireError(f"the body is {why}; {len(body)} bytes") from None


def dumps(value: Json) -> bytes:
    """Write a body. NaN and infinity, which JSON doesn't have, are a ``ValueError``."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        # Lone surrogates, which can only be escaped.
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")


class Fields:
    """Reads the keys of a JSON object, each once; ``null`` is the same as no key.

    Every method raises ``WireError`` naming the key, for a value of another type.
    """

    def __init__(self, body: Json, name: str = "the body") -> None:
        if not isinstance(body, Mapping):
            raise WireError(f"{name} must be an object, not {kind_of(body)}")
        self._name = name
        self._left: dict[str, Any] = {k: v for k, v in body.items() if v is not None}

    def __contains__(self, key: str) -> bool:
        return key in self._left

    def rest(self) -> dict[str, Any]:
        """The keys that weren't read."""
        return self._left

    def any(self, key: str) -> Any:
        """The value, of whatever type."""
        return self._left.pop(key, None)

    def required(self, key: str, read: Callable[[str], T | None]) -> T:
        """Return what ``read``, a method of this object, gives for a key that has to be there."""
        value = read(key)
        if value is None:
            raise WireError(f"{self._path(key)} is missing")
        return value

    def text(self, key: str) -> str | None:
        """A string."""
        return self._of(key, str, "a string")

    def flag(self, key: str) -> bool | None:
        """``true`` or ``false``."""
        return self._of(key, bool, "true or false")

    def whole(self, key: str, *, least: int) -> int | None:
        """An integer from ``least``."""
        value = self.any(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise WireError(f"{self._path(key)} must be an integer of at least {least}")
        return value

    def natural(self, key: str) -> int | None:
        """An integer from 0."""
        return self.whole(key, least=0)

    def positive(self, key: str) -> int | None:
        """An integer from 1."""
        return self.whole(key, least=1)

    def number(self, key: str) -> float | None:
        """A number; NaN and infinity, which some servers write, pass."""
        value = self.any(key)
        return None if value is None else as_number(value, self._path(key))

    def items(self, key: str) -> list[Any] | None:
        """A list."""
        return self._of(key, list, "a list")

    def object(self, key: str) -> Fields:
        """An object; an empty one where there is none."""
        return Fields(self._left.pop(key, {}), self._path(key))

    def strings(self, key: str) -> tuple[str, ...] | None:
        """A list of strings."""
        values = self.optional_strings(key)
        if values is not None and None in values:
            place = f"{self._path(key)}[{values.index(None)}]"
            raise WireError(f"{place} must be a string, not null")
        return values  # type: ignore[return-value]

    def optional_strings(self, key: str) -> tuple[str | None, ...] | None:
        """A list of strings and ``null``."""
        values = self.items(key)
        for index, value in enumerate(values or ()):
            if value is not None and not isinstance(value, str):
                place = f"{self._path(key)}[{index}]"
                raise WireError(f"{place} must be a string, not {kind_of(value)}")
        return None if values is None else tuple(values)

    def _of(self, key: str, kind: type[T], name: str) -> T | None:
        value = self._left.pop(key, None)
        if value is not None and not isinstance(value, kind):
            raise WireError(f"{self._path(key)} must be {name}, not {kind_of(value)}")
        return value

    def _path(self, key: str) -> str:
        return key if self._name == "the body" else f"{self._name}.{key}"


def as_number(value: Json, name: str) -> float:
    """Pass a number, as a ``float``. Raises ``WireError`` naming it."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise WireError(f"{name} must be a number, not {kind_of(value)}")
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def kind_of(value: Json) -> str:
    """The JSON type of a value."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a bool",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
    return names.get(type(value), type(value).__name__)
