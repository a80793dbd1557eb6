"""Tables of a configuration file: read with their types checked, and errors with their lines."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from resift.errors import BackendUnavailableError, InvalidRequestError
from resift.redaction import shown
from resift.server.lines import Place, lines_of

T = TypeVar("T")

_SECRET = re.compile("key|token|secret|password")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a file."""

    values: Mapping[str, Any]
    place: Place
    file: str
    lines: Mapping[Place, int]

    @classmethod
    def read(cls, path: str | Path) -> Table:
        """Read a file as its outermost table.

        Raises ``InvalidRequestError`` for one that can't be read, and for what isn't TOML.
        """
        try:
            text = Path(path).read_bytes().decode("utf-8-sig")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it isn't UTF-8"
            raise InvalidRequestError(
                f"the configuration {path} can't be read: {reason}; expected a file of TOML"
            ) from error
        try:
            return cls(tomllib.loads(text), (), str(path), lines_of(text))
        except tomllib.TOMLDecodeError as error:
            given, *column = re.split(r" \(at line (\d+), column (\d+)\)$", str(error))
            line = column[0] if column else str(text.count("\n") + 1)
            raise InvalidRequestError(f"{path}:{line}: this isn't TOML: {given}") from None

    def error(self, message: str, key: str | None = None) -> InvalidRequestError:
        """An error that names the file and the line of ``key``, or of the table."""
        place = self.place if key is None else (*self.place, key)
        while place and place not in self.lines:
            place = place[:-1]
        return InvalidRequestError(f"{self.file}:{self.lines.get(place, 1)}: {message}")

    def named(self, key: str | None = None) -> str:
        """The table, or a key of it, as one writes it in the file."""
        place = self.place if key is None else (*self.place, key)
        bare = re.compile(r"[A-Za-z0-9_-]+")
        parts = (str(each) for each in place)
        return ".".join(each if bare.fullmatch(each) else json.dumps(each) for each in parts)

    def wrong(self, key: str, expected: str) -> InvalidRequestError:
        """The error of a value that isn't what was expected."""
        given = self.values[key]
        # Somebody may have written the secret itself where its name belongs.
        hidden = f"this {type(given).__name__}, which isn't shown"
        what = hidden if _SECRET.search(key) else _brief(given)
        return self.error(f"{self.named(key)} must be {expected}, not {what}", key)

    def table(self, key: str) -> Table:
        """The table of this name, empty where there is none."""
        given = self.values.get(key, {})
        if not isinstance(given, Mapping):
            raise self.wrong(key, f"a table, such as [{self.named(key)}]")
        return Table(given, (*self.place, key), self.file, self.lines)

    def check_known(self, known: Collection[str], where: str = "") -> None:
        """Raise an error for the first key that isn't ``known``, suggesting the nearest."""
        for key in self.values:
            if key not in known:
                expected = nearest(key, known)
                raise self.error(f"{self.named(key)} isn't known{where}; {expected}", key)

    @contextmanager
    def blamed(self, key: str | None = None, otherwise: str | None = None) -> Iterator[None]:
        """Name the line in errors of options.

        It is that of ``key``, or else of the key that they mention, or of ``otherwise``.
        """
        try:
            yield
        except (InvalidRequestError, BackendUnavailableError) as error:
            message = str(error)
            # As name=value, or else as a word.
            mentioned = re.findall(r"\w+(?==)", message) + re.findall(r"\w+", message)
            at = key or next((each for each in mentioned if each in self.values), otherwise)
            raise self.error(f"in [{self.named()}], {message}", at) from error


def read_table(table: Table, kind: type[T], also: Collection[str] = ()) -> T:
    """Fill a frozen dataclass from a table; keys in ``also`` are somebody else's.

    Raises ``InvalidRequestError`` for keys that are no fields, for values of other types, for
    fields without a default that are missing, and for what the dataclass itself refuses.
    """
    hints = get_type_hints(kind)
    declared = {each.name: each for each in fields(kind) if each.init}  # type: ignore[arg-type]
    table.check_known([*declared, *also])
    given = {name: _filled(table, name, hints[name]) for name in declared if name in table.values}
    for name, each in declared.items():
        if name not in given and each.default is MISSING and each.default_factory is MISSING:
            raise table.error(f"[{table.named()}] needs {name}")
    with table.blamed():
        return kind(**given)


def nearest(given: str, known: Collection[str]) -> str:
    """Say what was probably meant by an unknown name, and all that there are."""
    near = get_close_matches(given, known, n=1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    return f"{meant}expected some of {sorted(known)}"


def _filled(table: Table, key: str, hint: Any) -> Any:
    """The value of a key as a field of this type."""
    value = table.values[key]
    choices = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for choice in choices:
        if is_dataclass(choice) and isinstance(value, Mapping):
            return read_table(table.table(key), choice)  # type: ignore[arg-type]
        fits, converted = _fitted(value, choice)
        if fits:
            return converted
    expected = " or ".join(_described(each) for each in choices if each is not NoneType)
    raise table.wrong(key, expected)


def _fitted(value: Any, hint: Any) -> tuple[bool, Any]:
    """Whether a value is of a type, and the value as Python has it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value in arguments, value
    if origin in (tuple, list) or (isinstance(origin, type) and issubclass(origin, Collection)):
        if issubclass(origin, Mapping):
            return isinstance(value, dict), value
        each = [_fitted(part, arguments[0]) for part in value] if isinstance(value, list) else [()]
        return all(part and part[0] for part in each), tuple(part[1] for part in each if part)
    if hint is Path:
        return isinstance(value, str), Path(value) if isinstance(value, str) else value
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool), value
    # A bool is an int to Python, and to nobody else.
    return hint is Any or (isinstance(hint, type) and type(value) is hint), value


_TYPES: Mapping[Any, str] = {
    str: "a string", int: "an integer", float: "a number", bool: "true or false", Path: "a path",
}  # fmt: skip


def _described(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(json.dumps(each) for each in arguments)
    if origin in (tuple, list):
        return f"a list, each {_described(arguments[0])}"
    return _TYPES.get(hint, "a table")


def _brief(value: Any) -> str:
    text = shown(repr(value))
    return text if len(text) <= 60 else f"{text[:60]}…"
