"""``Local``: a model on this machine, by its name, as a scorer."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, Unpack

from resift.given import check_names, joined_options
from resift.keywords import LocalOptions
from resift.options import DEFAULT_MODEL, LoadOptions, defaults
from resift.scoring.estimator import EarlyExit
from resift.signatures import shows


class Local(EarlyExit):
    """A model on this machine, as ``Reranker`` has it without ``scorer=``.

    ``model`` and ``options`` are those of ``Reranker`` that say which model is loaded and how. It
    is loaded at the first call that needs it, once in each process. Where a call asks to prune, the
    estimator that the model's card names goes first. A pickle has the options, without ``token``.

    Raises ``InvalidRequestError`` for an invalid option, ``TypeError`` for an unknown one, and
    ``BackendUnavailableError`` for a backend that isn't installed.
    """

    @shows(LocalOptions, defaults("made"))
    def __init__(
        self, model: str | os.PathLike[str] = DEFAULT_MODEL, **options: Unpack[LocalOptions]
    ) -> None:
        super().__init__(LoadOptions(model=model, **check_names(options, LocalOptions)))

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Local, **joined_options(self._options)), ()

    def __repr__(self) -> str:
        usual = joined_options(LoadOptions())
        model, *rest = [
            repr(value) if name == "model" else f"{name}={value!r}"
            for name, value in joined_options(self._options).items()
            if name == "model" or value != usual.get(name)
        ]
        return f"Local({', '.join([model, *rest])})"
