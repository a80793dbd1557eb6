"""The models that a server has: found by name, loaded on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from resift.errors import InvalidRequestError
from resift.reranker import Reranker
from resift.scoring import Pool, Scorer, Source
from resift.server.config import RANKING, Config, Entry, scorers
from resift.server.memory import Leased, Memory, Resident
from resift.server.recipes import Kind, OfModel
from resift.server.tables import nearest


@dataclass(frozen=True, slots=True)
class Served:
    """A model that a server has."""

    entry: Entry
    reranker: Reranker
    keeping_all: Reranker
    """The same without a threshold, for clients that need every document."""
    residents: Sequence[Resident]
    """The local models that it needs."""
    needs: Sequence[str]
    """The names of the models of this process that a call needs, which may be its own."""

    @property
    def name(self) -> str:
        """The name that it is listed by."""
        return self.entry.name

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names that it answers to."""
        return self.entry.aliases

    @property
    def default(self) -> bool:
        """Whether it answers where no model is asked for, or one that isn't known."""
        return self.entry.default

    @property
    def kind(self) -> Kind:
        """``"local"``, ``"remote"``, ``"cascade"``, ``"fallback"`` or ``"cached"``."""
        return self.entry.kind

    @property
    def scorer(self) -> Scorer:
        """The scorer behind it."""
        found: Scorer = self.reranker.options["scorer"]
        return found

    @property
    def source(self) -> Source:
        """The origin of its scores, as far as it is known before it is loaded."""
        return self.scorer.source

    @property
    def max_length(self) -> int | None:
        """Tokens of a pair that it reads; ``None`` where that isn't known (yet)."""
        own = self.entry.options.max_length
        return own or next((x.max_length for x in self.residents if x.max_length), None)

    @property
    def loaded(self) -> bool:
        """Whether all local models that it may need are in memory."""
        return all(each.is_loaded for each in self.residents)

    def preload(self) -> None:
        """Load what a call needs. Raises what the first call would raise."""
        self.reranker.warm_up()


class Models:
    """The models of a configuration, each local one loaded once for all that are made of it.

    ``pool``: the threads that all of them share; ``None`` gives each its own. ``given``: scorers
    in place of those of the models of these names. One instance is shared by any number of threads.
    """

    def __init__(
        self,
        config: Config,
        pool: Pool | None = None,
        given: Mapping[str, Scorer] | None = None,
    ) -> None:
        settings, megabytes = config.settings, config.settings.memory_mb
        budget = None if megabytes is None else megabytes * 10**6
        memory = Memory(budget, pool, settings.threads)
        made = scorers(config.models, lambda options: Leased(memory.resident(options)), given=given)
        elsewhere = set(given or ())
        recipes = {each.name: each.recipe for each in config.models}

        def residents(name: str) -> list[Resident]:
            recipe = recipes[name]
            own = []
            if isinstance(recipe, OfModel) and name not in elsewhere:
                own = [memory.resident(recipe.options)]
            return [*own, *(each for part in recipe.parts for each in residents(part))]

        def needs(name: str) -> list[str]:
            recipe = recipes[name]
            if name in elsewhere or recipe.kind == "remote":
                return []
            # A fallback goes on with any of its models.
            parts = recipe.parts[:1] if recipe.kind == "fallback" else recipe.parts
            return [each for part in parts for each in needs(part)] if recipe.parts else [name]

        self._strict = config.settings.strict_models

        def served(entry: Entry) -> Served:
            options = {name: getattr(entry.options, name) for name in RANKING}
            scorer = made[entry.name]
            whole = Reranker(scorer=scorer, **{**options, "score_threshold": None})
            return Served(
                entry,
                Reranker(scorer=scorer, **options),
                whole,
                residents(entry.name),
                needs(entry.name),
            )

        self._served = {each.name: served(each) for each in config.models}
        self._names = {alias: each for each in self._served.values() for alias in each.aliases}
        self._names |= self._served
        self._default = next(each for each in self._served.values() if each.default)

    @property
    def all(self) -> Sequence[Served]:
        """All models, in the order of the configuration."""
        return tuple(self._served.values())

    def find(self, name: str | None) -> Served:
        """The model of this name or alias, and for ``None`` the default.

        A name that isn't known is the default's too, as many clients send one of their own; with
        ``strict_models``, it raises ``InvalidRequestError``.
        """
        found = self._default if name is None else self._names.get(name)
        if found is None and self._strict:
            raise InvalidRequestError(
                f"there is no model {name!r}; {nearest(str(name), list(self._names))}"
            )
        return found or self._default
