"""The configuration of a server: its settings, and its models."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from resift.declaring import declared_in
from resift.given import split_options
from resift.options import LoadOptions, RankOptions, declared
from resift.redaction import shown
from resift.scoring import Local, Scorer
from resift.server.actors import Ray
from resift.server.recipes import (
    KEYS,
    LOADING,
    SHARED,
    Kind,
    OfModel,
    Recipe,
    checked,
    kind_of,
    read_loading,
    read_recipe,
    secret_keys,
)
from resift.server.recording import recorder_of
from resift.server.settings import Limits, Record, Settings
from resift.server.tables import Table, nearest, read_table

RANKING = {name for name, each in declared_in(RankOptions).items() if "made" in each.at}
"""The options of a ranking that a model may have defaults for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Common:
    """The keys that a model of any kind has."""

    aliases: tuple[str, ...] = ()
    default: bool = False
    preload: bool = False


COMMON = {each.name for each in fields(_Common)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A model of a configuration."""

    name: str
    recipe: Recipe
    aliases: tuple[str, ...] = ()
    default: bool = False
    """Whether it answers where no model is asked for."""
    preload: bool = False
    """Whether it is loaded when the server starts, and not when it is first needed."""
    options: RankOptions = field(default_factory=RankOptions)
    """The options of a call that gives none."""

    @property
    def kind(self) -> Kind:
        """The kind of scorer that it is."""
        return self.recipe.kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """A server's settings and models."""

    models: tuple[Entry, ...]
    """At least one; exactly one is the default."""
    settings: Settings = field(default_factory=Settings)
    limits: Limits = field(default_factory=Limits)
    record: Record = field(default_factory=Record)
    ray: Ray = field(default_factory=Ray)
    """For a cluster; one process serves all models by itself."""

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Config:
        """Read a file of TOML and check all of it; no model is loaded.

        Raises ``InvalidRequestError`` that names the file, the line, and what to do about it.
        """
        file = Table.read(Path(path))
        file.check_known(("server", "limits", "record", "options", "models", "ray"))
        settings = read_table(file.table("server"), Settings)
        limits = read_table(file.table("limits"), Limits)
        record = _record(file.table("record"))
        loading, ranking = _usual(file.table("options"))
        models = file.table("models")
        tables = {name: models.table(name) for name in models.values}
        entries = [_entry(name, each, loading, ranking) for name, each in tables.items()]
        _check_names(models, entries)
        ray = Ray.read(file.table("ray"), {each.name: each.recipe for each in entries})
        if not entries:
            only = _single(LoadOptions(**loading), RankOptions(**ranking))
            return cls(models=(only,), settings=settings, limits=limits, record=record, ray=ray)
        _check_parts(tables, entries)
        scorers(entries, lambda options: local_scorer(options), tables)
        known = _with_default(tables, entries)
        return cls(models=known, settings=settings, limits=limits, record=record, ray=ray)

    def of_pool(self, name: str) -> Config:
        """The configuration of the actors of a pool: of their models alone, all loaded at once."""
        pool = self.ray.pools[name]
        known = {each.name: each for each in self.models}
        parts = [part for each in pool.models for part in known[each].recipe.parts]
        names = [*pool.models, *(each for each in parts if each not in pool.models)]
        models = [replace(known[each], default=False, preload=True) for each in names]
        models[0] = replace(models[0], default=True)
        # Whoever asks them has asked for the key, and records.
        settings = replace(self.settings, keys_file=None, require_keys=False)
        return replace(self, models=tuple(models), settings=settings, record=Record())

    @classmethod
    def of(cls, **options: Any) -> Config:
        """Configure one model, by the keywords of ``Reranker`` that are no objects or functions.

        Raises ``InvalidRequestError`` for invalid ones, ``BackendUnavailableError`` for a backend
        that isn't installed, and ``TypeError`` for unknown ones.
        """
        known = {name for name, each in declared().items() if each.kind != "function"}
        unknown = options.keys() - known
        if unknown:
            raise TypeError(f"no such option: {', '.join(sorted(unknown))}")
        load, rank = split_options(options)
        shared = {name: getattr(load, name) for name in SHARED}
        alone: dict[str, Any] = dict.fromkeys(SHARED)
        load = replace(load, **alone)
        local_scorer(load)
        settings = Settings(**{k: v for k, v in shared.items() if SHARED[k] == "server"})
        limits = Limits(**{k: v for k, v in shared.items() if SHARED[k] == "limits"})
        return cls(models=(_single(load, rank),), settings=settings, limits=limits)


def scorers(
    entries: Sequence[Entry],
    local: Callable[[LoadOptions], Scorer],
    tables: Mapping[str, Table] | None = None,
    given: Mapping[str, Scorer] | None = None,
) -> dict[str, Scorer]:
    """Make the scorer of each model, by name, but for those that are ``given``.

    ``tables`` have the lines for errors.
    """
    recipes = {each.name: each.recipe for each in entries}
    made = dict(given or {})

    def make(name: str) -> Scorer:
        if name not in made:
            recipe = recipes[name]
            parts = [make(part) for part in recipe.parts]
            table = tables[name] if tables else None
            with table.blamed(otherwise=kind_of(table)) if table else nullcontext():
                made[name] = recipe.scorer(parts, local)
        return made[name]

    return {name: make(name) for name in recipes}


def local_scorer(options: LoadOptions, **more: Any) -> Local:
    """``Local`` of these options."""
    named = {name: getattr(options, name) for name in LOADING if name != "on_timing"}
    return Local(**{**named, **more})


def _record(table: Table) -> Record:
    found = read_table(table, Record)
    with table.blamed(otherwise="file"):
        recorder_of(found)
    return found


def _usual(table: Table) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of loading, and of ranking, that the table ``[options]`` has."""
    known = (KEYS["model"] - {"model"}) | RANKING
    _check_keys(table, known)
    loading = read_loading(table, {})
    given = {name: getattr(loading, name) for name in LOADING if name != "model"}
    usual = LoadOptions()
    ranking = checked(table, RANKING)
    with table.blamed():
        RankOptions(**ranking)
    return {k: v for k, v in given.items() if v != getattr(usual, k)}, ranking


def _entry(
    name: str, table: Table, loading: Mapping[str, Any], ranking: Mapping[str, Any]
) -> Entry:
    kind = kind_of(table)
    _check_keys(table, KEYS[kind] | COMMON | RANKING, f" beside {kind!r}")
    recipe = read_recipe(table, kind, loading)
    common = read_table(table, _Common, also=table.values)
    own = checked(table, RANKING)
    with table.blamed():
        options = RankOptions(**{**ranking, **own})
    return Entry(
        name=name, recipe=recipe, options=options,
        **{key: getattr(common, key) for key in COMMON},
    )  # fmt: skip


def _check_keys(table: Table, known: set[str], where: str = "") -> None:
    """Refuse what no model may have, and say where it belongs."""
    for key in table.values:
        option = LOADING.get(key)
        if key in SHARED:
            message = f"all models share {key}: give it in [{SHARED[key]}]"
        elif key == "key" or (option and option.kind == "secret"):
            names = " or ".join(sorted(secret_keys(key)))
            message = f"a secret has no place in this file: give {names}"
        elif option and option.kind == "function":
            message = f"{key} is a function, which a file can't have"
        elif key in declared() and key not in RANKING and not option:
            message = f"{key} is for each call: leave it out"
        else:
            continue
        if key not in known:
            raise table.error(f"{table.named(key)}: {message}", key)
    table.check_known(known, where)


def _check_names(models: Table, entries: Sequence[Entry]) -> None:
    """Refuse names that are empty, or that two models have."""
    taken = {each.name: each.name for each in entries}
    for entry in entries:
        table = models.table(entry.name)
        if not entry.name.strip():
            raise table.error("a model must have a name, such as [models.small]")
        for alias in entry.aliases:
            if not alias.strip():
                raise table.error(f"{table.named('aliases')}: an alias is empty", "aliases")
            if alias in taken:
                raise table.error(
                    f"{table.named('aliases')}: {alias!r} is already a name of "
                    f"{taken[alias]!r}; leave it out in one of them",
                    "aliases",
                )
            taken[alias] = entry.name


def _check_parts(tables: Mapping[str, Table], entries: Sequence[Entry]) -> None:
    """Refuse models made of others that don't exist, or of themselves."""
    parts = {each.name: each.recipe.parts for each in entries}
    for name, table in tables.items():
        key = kind_of(table)
        for part in parts[name]:
            if part not in parts:
                raise table.error(
                    f"{table.named(key)}: there is no model {part!r}; {nearest(part, parts)}", key
                )
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            circle = " → ".join((*way[way.index(name) :], name))
            table = tables[name]
            raise table.error(
                f"{table.named(kind_of(table))}: a model can't be made of itself: {circle}",
                kind_of(table),
            )
        if name not in done:
            for part in parts[name]:
                visit(part, (*way, name))
            done.add(name)

    for name in parts:
        visit(name, ())


def _with_default(tables: Mapping[str, Table], entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The entries, of which exactly one is the default: the first, where none says so."""
    marked = [each.name for each in entries if each.default]
    if len(marked) > 1:
        raise tables[marked[1]].error(
            f"{tables[marked[1]].named('default')}: {marked[0]!r} is the default already; one "
            "model can be it",
            "default",
        )
    chosen = marked[0] if marked else entries[0].name
    return tuple(replace(each, default=each.name == chosen) for each in entries)


def _single(load: LoadOptions, rank: RankOptions) -> Entry:
    """The only model of a server, which is named as it is given; a folder by its last part."""
    given = os.fspath(load.model)
    name = Path(given).name if Path(given).exists() else shown(given)
    return Entry(
        name=name, recipe=OfModel(options=load), default=True, preload=True, options=rank
    )  # fmt: skip
