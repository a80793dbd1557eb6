"""``Local``: a model on this machine, by its name, as a scorer."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, Unpack

from resift.declaring import declared_in
from resift.errors import InvalidRequestError
from resift.given import check_names
from resift.keywords import LocalOptions
from resift.loading.pool import Pool
from resift.options import DEFAULT_MODEL, LoadOptions, defaults
from resift.scoring.estimator import EarlyExit
from resift.signatures import shows


class Local(EarlyExit):
    """A model on this machine, as ``Reranker`` has it without ``scorer=``.

    ``model`` and ``options`` are those of ``Reranker`` that say which model is loaded and how. It
    is loaded at the first call that needs it, once in each process. Where a call asks to prune, the
    estimator that the model's card names goes first. ``pool``: threads and a queue to share with
    other models; their bounds, and not ``max_queue_pairs`` and ``max_queue_tokens``, then hold. A
    pickle has the options, without ``token`` and ``pool``.

    Raises ``InvalidRequestError`` for an invalid option, ``TypeError`` for an unknown one, and
    ``BackendUnavailableError`` for a backend that isn't installed.
    """

    @shows(LocalOptions, defaults("made"))
    def __init__(
        self,
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        pool: Pool | None = None,
        **options: Unpack[LocalOptions],
    ) -> None:
        if pool is not None and not isinstance(pool, Pool):
            raise InvalidRequestError(f"pool must be a resift.scoring.Pool or None, not {pool!r}")
        super().__init__(LoadOptions(model=model, **check_names(options, LocalOptions)), pool)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Local, **_data(self._options)), ()

    def __repr__(self) -> str:
        usual = _data(LoadOptions())
        given = _data(self._options)
        model = given.pop("model")
        others = (f", {name}={each!r}" for name, each in given.items() if each != usual[name])
        return f"Local({model!r}{''.join(others)})"


def _data(options: LoadOptions) -> dict[str, Any]:
    """The options that can be saved, by name; paths as text."""
    found = {
        name: getattr(options, name)
        for name, each in declared_in(LoadOptions).items()
        if each.kind == "data"
    }
    paths = {name: os.fspath(each) for name, each in found.items() if isinstance(each, os.PathLike)}
    return {**found, **paths}
