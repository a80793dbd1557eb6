"""Early exit: a cascade of the estimator that a model's card names, and the model.

The estimator's own card may name another one, which then goes before it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from resift.call import Call
from resift.errors import (
    BackendUnavailableError,
    ModelError,
    ModelNotFoundError,
    UnsupportedModelError,
)
from resift.loading import opening
from resift.loading.model import LoadedModel
from resift.loading.pool import Pool
from resift.models.card import Estimator
from resift.models.packages import find_packaged
from resift.models.store.manifest import sha256
from resift.once import Once
from resift.options import LoadOptions
from resift.request import Request
from resift.scoring.cascade import Cascade
from resift.scoring.cuts import Margin, may_prune
from resift.scoring.local import LocalScorer
from resift.scoring.scorer import Scored, Scorer, Source, Uncopied

_logger = logging.getLogger(__name__)

_Estimating = tuple[Scorer, Margin]


class EarlyExit(Uncopied):
    """The model that ``options`` name; where a call asks to prune, its card's estimator goes first.

    Without a reliable estimator, nothing is pruned.
    """

    def __init__(self, options: LoadOptions, pool: Pool | None = None) -> None:
        self._options = options
        self._model = LocalScorer(options, pool=pool)
        self._estimators: Once[list[_Estimating]] = Once(self._open_estimators)
        self._arrange(lambda model: model)

    @property
    def source(self) -> Source:
        """The whole model's source."""
        return self._model.source

    def warm_up(self, call: Call) -> None:
        """Load the model, and the estimator where the call asks to prune."""
        found = self._cascade_in_time(call) if call.options.prune == "auto" else None
        (found or self._whole).warm_up(call)

    @property
    def loaded(self) -> LoadedModel:
        """The whole model, loaded now unless it is loaded."""
        return self._model.loaded

    def cuts(self, request: Request, call: Call) -> list[int | None]:
        """Find where each text is cut, by the whole model; see ``Cutting``."""
        return self._model.cuts(request, call)

    def score(self, requests: Sequence[Request], call: Call) -> list[Scored]:
        """Answer each request as ``Cascade`` where one may be pruned, else as ``LocalScorer``."""
        if not any(may_prune(request, call) for request in requests):
            return self._whole.score(requests, call)
        # Without time for loading the estimator, nothing is pruned.
        return (self._cascade_in_time(call) or self._whole).score(requests, call)

    def rebuilt(self, wrap: Callable[[Scorer], Scorer]) -> EarlyExit:
        """The same models, with ``wrap`` around each."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other._arrange(wrap)
        return other

    def _arrange(self, wrap: Callable[[Scorer], Scorer]) -> None:
        """Make the scorers of the models, which are loaded once however they are wrapped."""
        self._wrap = wrap
        self._whole = wrap(self._model)
        self._pruning: Once[Scorer] = Once(self._cascade)

    def _cascade_in_time(self, call: Call) -> Scorer | None:
        if self._pruning.is_made:
            return self._pruning.get()
        with call.watch.phase("load"):
            return self._pruning.get_within(call.remaining)

    def _cascade(self) -> Scorer:
        found = self._estimators.get()
        if not found:
            return self._whole
        scorers = [self._wrap(scorer) for scorer, _ in found]
        return Cascade([*scorers, self._whole], keep=[margin for _, margin in found])

    def _open_estimators(self) -> list[_Estimating]:
        """The estimators, the fastest first; none where the card names none."""
        found: list[_Estimating] = []
        model, named = self._model.loaded, set[str]()
        while (card := model.files.card) and (wanted := card.estimator):
            options = replace(self._options, model=wanted.model)
            try:
                if wanted.model in named:
                    raise UnsupportedModelError(f"{wanted.model} is its own estimator")
                model = _open(model, wanted, options)
            except (ModelError, BackendUnavailableError) as error:
                if found:
                    _logger.warning("%s. %s estimates all documents", error, model.files.name)
                    return found
                _logger.warning("%s. No document is pruned", error)
                return [(_NoEstimates(self.source), Margin(0.0))]
            named.add(wanted.model)
            found.insert(0, (_scorer(options, model), Margin(wanted.margin)))
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return EarlyExit, (self._options,)

    def __repr__(self) -> str:
        return f"EarlyExit({self._options!r})"


def _scorer(options: LoadOptions, model: LoadedModel) -> Scorer:
    return LocalScorer(options, load=lambda: model)


class _NoEstimates:
    """Stands in for an unreliable estimator: NaN is no reason to prune."""

    def __init__(self, source: Source) -> None:
        self.source = replace(source, status="fallback")

    def warm_up(self, call: Call) -> None:
        """Do nothing: there is nothing to load."""

    def score(self, requests: Sequence[Request], call: Call) -> list[Scored]:  # noqa: ARG002
        nothing = [Scored.nothing(len(request.texts), self.source) for request in requests]
        return [replace(each, scored=np.ones_like(each.scored)) for each in nothing]


def _open(model: LoadedModel, wanted: Estimator, options: LoadOptions) -> LoadedModel:
    """Load the estimator. Raises ``ModelError`` if the margin was fitted with another model."""
    named = f"{model.files.name} has its documents estimated by {wanted.model}"
    if find_packaged(wanted.model) is None:
        raise ModelNotFoundError(
            f"{named}, which no installed package has: install the one that brings it"
        )
    found = opening.load_model(options)
    digests = {(artifact.sha256, artifact.data_sha256) for artifact in found.files.artifacts}
    if (wanted.sha256, wanted.data_sha256) not in digests:
        raise UnsupportedModelError(
            f"{named}, and the one that is installed has other weights: fit the margin again, or "
            "install the version of its package that the margin was fitted with"
        )
    reader, its = model.reader, found.reader
    same = sha256(found.files.tokenizer) == sha256(model.files.tokenizer)
    if not (same and type(its.family) is type(reader.family) and its.window >= reader.window):
        raise UnsupportedModelError(f"{named}, which reads other tokens")
    # Both read the same tokens, so texts are tokenized once. They share a queue, so that no more
    # forward passes run at a time than there are threads. And a document whose estimate isn't
    # finite is kept, so there is no need for float32.
    return replace(found, reader=reader, queue=model.queue, float32=Once(lambda: None))
