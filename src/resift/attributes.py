"""The options of adapters as attributes that can be read, assigned and shown."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_type_hints

from resift.adapter import DATA_OPTIONS, Adapter, refuse_scorer
from resift.errors import InvalidRequestError
from resift.keywords import DataOptions, RerankerOptions
from resift.options import adapter_defaults
from resift.reranker import Reranker
from resift.scoring.scorer import Scorer
from resift.signatures import shows

__all__ = ["EngineOptions", "PydanticOptions", "shows_engine_options"]

_OWN = ("top_n", "score_threshold", "metadata_fields")
_ENGINE = RerankerOptions.__annotations__

shows_engine_options = shows(RerankerOptions, adapter_defaults())
"""Makes ``inspect.signature`` show the engine's options, not ``**options``."""


class EngineOptions(DataOptions):
    """Options that can be read, and assigned where that can take effect.

    ``_adapter`` holds the options; attributes are copies in the instance, which pydantic takes for
    its fields, and are updated with it. Assigning anything else raises ``InvalidRequestError``.
    """

    _adapter: Adapter
    _names: ClassVar[Mapping[str, str]] = {name: name for name in _OWN}
    """The adapter's names for its own options to the names in ``Adapter``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give the class the signature of its ``__init__``, whatever its metaclass shows."""
        super().__init_subclass__(**kwargs)
        _, *parameters = inspect.signature(cls.__init__).parameters.values()
        cls.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]

    @property
    def reranker(self) -> Reranker:
        """The engine, which can be shared, warmed up, or replaced by assignment."""
        return self._adapter.reranker

    @reranker.setter
    def reranker(self, reranker: Reranker) -> None:
        self._change({"reranker": reranker})

    @property
    def scorer(self) -> Scorer | None:
        """The reranker's ready scorer; ``None`` if it has none."""
        found: Scorer | None = self.reranker.options.get("scorer")
        return found

    # Not for type checkers, which would then take any name to be assignable.
    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            refuse_scorer({name: value})
            if name == "reranker" or name in self._names:
                self._change({name: value})
            elif name in _ENGINE:
                raise InvalidRequestError(
                    f"{name} is fixed once a {type(self).__name__} is made: make a new one with "
                    f"{name}=, or assign reranker= a resift.Reranker made with it"
                )
            elif name in _OWN:
                raise InvalidRequestError(
                    f"a {type(self).__name__} has no option {name}; those that can be assigned are "
                    f"{['reranker', *self._names]}"
                )
            else:
                super().__setattr__(name, value)

    def _change(self, changes: Mapping[str, Any]) -> None:
        self._take(self._adapter.changed({self._names.get(k, k): v for k, v in changes.items()}))

    def _take(self, adapter: Adapter) -> None:
        """Take on the options of ``adapter``."""
        super().__setattr__("_adapter", adapter)
        vars(self).update(self._values(adapter))

    @classmethod
    def _values(cls, adapter: Adapter) -> dict[str, Any]:
        """The values of all options, by this adapter's names."""
        values = adapter.values()
        own = {name: values[known] for name, known in cls._names.items()}
        return {**{name: values[name] for name in DATA_OPTIONS}, **own}


# pydantic before 2.10 looks up the names of types in the module of the model.
for _kind in (DataOptions, EngineOptions):
    _kind.__annotations__.update(get_type_hints(_kind))
for _name, _default in DATA_OPTIONS.items():
    setattr(EngineOptions, _name, _default)


class PydanticOptions(EngineOptions):
    """``EngineOptions`` as a base of a pydantic model, which makes fields of the annotations."""

    _checks: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    """Further checks for assignments and ``model_copy``, by name: functions of the value."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Add the fields of a subclass, which ``__init__`` takes too, to its signature.

        Raises ``TypeError`` if the subclass changes an option's default, as ``__init__`` has its
        own.
        """
        super().__pydantic_init_subclass__(**kwargs)  # type: ignore[misc]
        if "__init__" in vars(cls):
            return
        signature = inspect.signature(cls)
        parameters = dict(signature.parameters)
        for name, field in cls.model_fields.items():  # type: ignore[attr-defined]
            default = inspect.Parameter.empty if field.is_required() else field.default
            known = parameters.setdefault(
                name,
                inspect.Parameter(
                    name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=default,
                    annotation=field.annotation,
                ),
            )
            if name not in cls._added_fields() and known.default != default:
                raise TypeError(
                    f"{cls.__name__}.{name} = {default!r} would have no effect: the default of an "
                    "option is that of __init__; give the class an __init__ of its own"
                )
        cls.__signature__ = signature.replace(parameters=[*parameters.values()])  # type: ignore[attr-defined]

    # Not for type checkers, which would then take any name to be assignable.
    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            check = self._checks.get(name)
            super().__setattr__(name, check(value) if check else value)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy with changed options, checked; changing ``model`` and the like makes a new engine.

        Raises ``InvalidRequestError`` for an invalid value, ``TypeError`` for an unknown option.
        """
        refuse_scorer(update or {})
        given = {
            name: self._checks[name](value) if name in self._checks else value
            for name, value in (update or {}).items()
        }
        ours = {"reranker", *self._names, *_ENGINE}.intersection(given)
        fields = type(self).model_fields  # type: ignore[attr-defined]
        unknown = sorted(set(given) - ours - set(fields))
        if unknown:
            raise TypeError(f"no such option: {', '.join(unknown)}; expected some of {[*fields]}")
        rest = {name: value for name, value in given.items() if name not in ours}
        copied: Self = super().model_copy(update=rest, deep=deep)  # type: ignore[misc]
        copied._change({name: given[name] for name in ours})
        return copied

    @classmethod
    def _added_fields(cls) -> dict[str, Any]:
        """Fields other than the engine's and the adapter's own."""
        known = {*cls._names, *DATA_OPTIONS}
        return {name: x for name, x in cls.model_fields.items() if name not in known}  # type: ignore[attr-defined]

    @classmethod
    def _take_added(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Take the keywords for fields of a subclass out of ``options``."""
        names = {
            alias
            for name, field in cls._added_fields().items()
            for alias in (name, field.alias, field.validation_alias)
            if isinstance(alias, str)
        }
        return {name: options.pop(name) for name in names.intersection(options)}
