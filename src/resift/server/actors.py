"""The table ``[ray]``: the actors of a Ray cluster that serve, for ``resift serve --ray``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from resift import checks
from resift.declaring import check_each, option
from resift.errors import InvalidRequestError
from resift.server.recipes import Recipe
from resift.server.settings import positive_int, required, seconds
from resift.server.tables import Table, nearest, read_table

_optional_int = partial(checks.check_positive_int, otherwise="left out")


def _positive(name: str, given: Any) -> Any:
    return required(name, checks.check_positive(name, given, "left out"))


def _resources(name: str, given: Any) -> Mapping[str, float] | None:
    if given is None:
        return None
    if not isinstance(given, Mapping) or not all(isinstance(key, str) and key for key in given):
        raise InvalidRequestError(f"{name} must be a table of names and numbers, not {given!r}")
    return {key: _positive(f"{name}.{key}", value) for key, value in given.items()}


def _names(name: str, given: Any) -> Any:
    if not given:
        raise InvalidRequestError(f'{name} must name a model at least, such as ["large"]')
    return given


@dataclass(frozen=True, kw_only=True)
class Actors:
    """The actors of one deployment, and what each of them has. Ray calls them replicas.

    Raises ``InvalidRequestError`` for invalid values, and for numbers that contradict each other.
    """

    replicas: int | None = option(
        None, _optional_int, "actors, always as many; None is 1, or as max_replicas says"
    )
    min_replicas: int | None = option(
        None, _optional_int, "actors where there is little to do; None is 1"
    )
    max_replicas: int | None = option(
        None, _optional_int, "actors where there is much to do; None is no autoscaling"
    )
    target_ongoing_requests: float = option(
        8.0, _positive, "requests that each has in work, on average, where autoscaling is content"
    )
    upscale_delay_s: float = option(
        30.0, seconds, "seconds for which there must be more to do before there are more actors"
    )
    downscale_delay_s: float = option(
        600.0, seconds, "seconds for which there must be less to do before there are fewer"
    )
    num_cpus: int = option(
        1, positive_int, "CPUs that each reserves: its threads, of all models and libraries"
    )
    num_gpus: float = option(0.0, seconds, "GPUs that each reserves, or a part of one")
    resources: Mapping[str, float] | None = option(
        None, _resources, "resources of nodes, by name, that each reserves; None is none"
    )
    max_ongoing_requests: int = option(
        64, positive_int, "requests that each has in work at a time; more wait in front of all"
    )
    max_queued_requests: int = option(
        256, positive_int, "requests that wait there, in each proxy; more are refused with 429"
    )

    def __post_init__(self) -> None:
        check_each(self)
        least, most = self.min_replicas, self.max_replicas
        if self.replicas is not None and (least or most):
            raise InvalidRequestError(
                f"replicas={self.replicas} is always as many: leave it out, or min_replicas and "
                "max_replicas"
            )
        if least is not None and (most is None or most < least):
            raise InvalidRequestError(
                f"min_replicas={least} needs a max_replicas of at least as many, not {most}"
            )
        if self.target_ongoing_requests > self.max_ongoing_requests:
            raise InvalidRequestError(
                f"target_ongoing_requests={self.target_ongoing_requests:g} must not be above "
                f"max_ongoing_requests={self.max_ongoing_requests}, as it would never be reached"
            )


@dataclass(frozen=True, kw_only=True)
class ActorPool(Actors):
    """A table ``[ray.pools.NAME]``: actors that score with models of their own."""

    models: tuple[str, ...] = option((), _names, "names of the models that they have")


@dataclass(frozen=True, kw_only=True)
class Ray:
    """The table ``[ray]``: the actors that answer requests, and pools that score for them."""

    front: Actors = field(default_factory=Actors)
    """Those that have the routes, and every model that no pool has."""
    pools: Mapping[str, ActorPool] = field(default_factory=dict)

    @property
    def pool_of(self) -> Mapping[str, str]:
        """The name of the pool of each model that has one."""
        return {model: name for name, pool in self.pools.items() for model in pool.models}

    @classmethod
    def read(cls, table: Table, recipes: Mapping[str, Recipe]) -> Ray:
        """Read the table; ``recipes`` are those of the models of the file, by name.

        Raises ``InvalidRequestError`` that names the file and the line.
        """
        tables = table.table("pools")
        front = read_table(table, Actors, also=["pools"])
        pools: dict[str, ActorPool] = {}
        taken: dict[str, str] = {}
        for name in tables.values:
            each = tables.table(name)
            pools[name] = read_table(each, ActorPool)
            for model in pools[name].models:
                _check_model(each, model, recipes, taken)
                taken[model] = name
        for name, recipe in recipes.items():
            part = next((x for x in recipe.parts if x in taken), None)
            if recipe.kind == "cached" and part and name not in taken:
                raise tables.table(taken[part]).error(
                    f"{tables.table(taken[part]).named('models')}: {part!r} is cached by {name!r}: "
                    f"name {name!r} here, as the cache belongs to where the model is",
                    "models",
                )
        return cls(front=front, pools=pools)


def _check_model(
    table: Table, model: str, recipes: Mapping[str, Recipe], taken: Mapping[str, str]
) -> None:
    where = table.named("models")
    if model not in recipes:
        raise table.error(
            f"{where}: there is no model {model!r}; {nearest(model, list(recipes))}", "models"
        )
    if recipes[model].kind not in ("local", "cached"):
        raise table.error(
            f"{where}: {model!r} is a {recipes[model].kind} model, and a pool has models that are "
            "loaded: name those that it is made of, and leave it to the front",
            "models",
        )
    if model in taken:
        raise table.error(
            f"{where}: {model!r} is in the pool {taken[model]!r} already; leave it out in one",
            "models",
        )
