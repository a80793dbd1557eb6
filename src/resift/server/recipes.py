"""Recipes of scorers, as tables of models have them: made of what, and with which options."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, Protocol

from resift.checks import check_token
from resift.declaring import declared_in
from resift.options import LoadOptions, declared
from resift.protocols import Limits as RequestLimits
from resift.scoring import Cached, Cascade, Fallback, Margin, Remote, Scorer
from resift.server.settings import Limits, Settings
from resift.server.tables import Table, read_table

Kind = Literal["local", "remote", "cascade", "fallback", "cached"]

LOADING = declared_in(LoadOptions)
SHARED: Mapping[str, str] = {
    each.name: table
    for table, kind in (("server", Settings), ("limits", Limits))
    for each in fields(kind)
    if each.name in LOADING
}
"""Options of loading that all models of a server share, and the table that has each."""


class Recipe(Protocol):
    """The way to make a model's scorer."""

    kind: ClassVar[Kind]

    @property
    def parts(self) -> Sequence[str]:
        """The names of the models that it is made of."""

    def scorer(self, parts: Sequence[Scorer], local: Callable[[LoadOptions], Scorer]) -> Scorer:
        """Make the scorer of its ``parts``; ``local`` makes that of a model on this machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OfModel:
    """A model on this machine."""

    kind: ClassVar[Kind] = "local"
    options: LoadOptions
    parts: Sequence[str] = ()

    def scorer(self, parts: Sequence[Scorer], local: Callable[[LoadOptions], Scorer]) -> Scorer:  # noqa: ARG002
        """Make what leads to the model."""
        return local(self.options)


@dataclass(frozen=True, kw_only=True, slots=True)
class OfServer:
    """A model behind a server."""

    kind: ClassVar[Kind] = "remote"
    url: str
    keywords: Mapping[str, Any] = field(repr=False)
    """Those of ``Remote``."""
    key: str | None = field(repr=False)
    parts: Sequence[str] = ()

    def scorer(self, parts: Sequence[Scorer], local: Callable[[LoadOptions], Scorer]) -> Scorer:  # noqa: ARG002
        """Make the server's client."""
        return Remote(self.url, key=self.key, **self.keywords)


@dataclass(frozen=True, kw_only=True, slots=True)
class OfCascade:
    """Models from the fastest to the best."""

    kind: ClassVar[Kind] = "cascade"
    parts: Sequence[str]
    keep: Sequence[int | Margin]

    def scorer(self, parts: Sequence[Scorer], local: Callable[[LoadOptions], Scorer]) -> Scorer:  # noqa: ARG002
        """Make a ``Cascade``."""
        return Cascade(parts, self.keep)


@dataclass(frozen=True, kw_only=True, slots=True)
class OfFallback:
    """A model, and those that take its place where it fails."""

    kind: ClassVar[Kind] = "fallback"
    parts: Sequence[str]

    def scorer(self, parts: Sequence[Scorer], local: Callable[[LoadOptions], Scorer]) -> Scorer:  # noqa: ARG002
        """Make a ``Fallback``."""
        return Fallback(*parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class OfCache:
    """A model whose logits are kept."""

    kind: ClassVar[Kind] = "cached"
    parts: Sequence[str]
    keywords: Mapping[str, Any]
    """Those of ``Cached``."""

    def scorer(self, parts: Sequence[Scorer], local: Callable[[LoadOptions], Scorer]) -> Scorer:  # noqa: ARG002
        """Make a ``Cached``."""
        return Cached(parts[0], **self.keywords)


# Ready objects, and the secret, for which a file has other words.
_NOT_IN_A_FILE = {"self", "url", "key", "client", "clock"}
_REMOTE = inspect.signature(Remote.__init__).parameters.keys() - _NOT_IN_A_FILE
_CACHED = inspect.signature(Cached.__init__).parameters.keys() - {"self", "scorer"}
_LOADED = {
    name for name, each in LOADING.items() if each.kind == "data" and name not in SHARED
}  # fmt: skip
_TOKENS = {name for name, each in LOADING.items() if each.kind == "secret"}


def secret_keys(name: str) -> set[str]:
    """The keys of a file that say where a secret is."""
    return {f"{name}_env", f"{name}_file"}


KEYS: Mapping[str, set[str]] = {
    "model": {"model"} | _LOADED | {key for name in _TOKENS for key in secret_keys(name)},
    "remote": {"remote", *_REMOTE, *secret_keys("key")},
    "cascade": {"cascade", "keep"},
    "fallback": {"fallback"},
    "cached": {"cached", *_CACHED},
}
"""The keys of each kind of model, by the one that tells which kind it is."""


def kind_of(table: Table) -> str:
    """The key that tells which kind of model a table has."""
    given = [key for key in KEYS if key in table.values]
    if "remote" in given:
        # The name that the model has over there.
        given = [key for key in given if key != "model"]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise table.error(
            f"[{table.named()}] must have exactly one of {', '.join(KEYS)}: got {found}",
            given[1] if given else None,
        )
    return given[0]


def read_recipe(table: Table, kind: str, usual: Mapping[str, Any]) -> Recipe:
    """Read a table as a model of its ``kind``; ``usual`` are options of loading for all models."""
    if kind == "model":
        return OfModel(options=read_loading(table, usual))
    if kind == "remote":
        return _remote(table)
    if kind == "cascade":
        return OfCascade(parts=_names(table, kind), keep=_keep(table))
    if kind == "fallback":
        return OfFallback(parts=_names(table, kind))
    keywords = {name: table.values[name] for name in _CACHED if name in table.values}
    return OfCache(parts=(_name(table, kind),), keywords=keywords)


def read_loading(table: Table, usual: Mapping[str, Any]) -> LoadOptions:
    """Read the options of loading that a table has, over the ``usual`` ones."""
    given = dict(usual) | checked(table, KEYS["model"] & LOADING.keys())
    for name in _TOKENS:
        if secret_keys(name) & table.values.keys():
            given[name] = _secret(table, name)
    with table.blamed():
        return LoadOptions(**given)


def checked(table: Table, names: set[str]) -> dict[str, Any]:
    """The options of these names that a table has, each checked."""
    found = {}
    for name, each in declared().items():
        if name in names and name in table.values:
            with table.blamed(name):
                found[name] = each.check(name, table.values[name])
    return found


def _remote(table: Table) -> OfServer:
    keywords = {name: table.values[name] for name in _REMOTE if name in table.values}
    if "limits" in keywords:
        keywords["limits"] = read_table(table.table("limits"), RequestLimits)
    if "extra" in keywords:
        keywords["extra"] = table.table("extra").values
    if "protocol" not in keywords:
        raise table.error(
            f'[{table.named()}] needs protocol, such as protocol = "resift"', "remote"
        )
    return OfServer(url=_name(table, "remote"), keywords=keywords, key=_secret(table, "key"))


def _keep(table: Table) -> tuple[int | Margin, ...]:
    given = table.values.get("keep")
    if not isinstance(given, list):
        message = f"[{table.named()}] needs keep = [30], with an entry for each model but the last"
        raise table.error(message, "keep")
    cuts: list[int | Margin] = []
    for index, each in enumerate(given):
        if isinstance(each, Mapping):
            inner = Table(each, (*table.place, "keep", index), table.file, table.lines)
            cuts.append(read_table(inner, Margin))
        else:
            cuts.append(each)
    return tuple(cuts)


def _names(table: Table, key: str) -> tuple[str, ...]:
    given = table.values[key]
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise table.wrong(key, "a list of names of models")
    return tuple(given)


def _name(table: Table, key: str) -> str:
    given = table.values[key]
    if not isinstance(given, str):
        raise table.wrong(key, "a string")
    return given


def _secret(table: Table, name: str) -> str | None:
    """The secret that a table says where to find; no message shows it."""
    variable, file = f"{name}_env", f"{name}_file"
    given = [key for key in (variable, file) if key in table.values]
    if len(given) > 1:
        raise table.error(f"[{table.named()}] has both {variable} and {file}: give one", file)
    if not given:
        return None
    where = _name(table, given[0])
    found = os.environ.get(where) if given == [variable] else _content(table, file)
    if not found:
        what = "an environment variable" if given == [variable] else "a file"
        raise table.error(
            f"{table.named(given[0])} must name {what} with the {name} in it, and what it names is "
            "missing or empty; it isn't shown, as it may be the secret itself",
            given[0],
        )
    with table.blamed(given[0]):
        return str(check_token(name, found.strip()))


def _content(table: Table, key: str) -> str | None:
    try:
        with open(table.values[key], encoding="utf-8") as file:  # noqa: PTH123
            return file.read()
    # ValueError for what is no text, or no path.
    except (OSError, ValueError):
        return None
