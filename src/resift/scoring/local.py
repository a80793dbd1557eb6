"""A model on this machine as a scorer."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from resift.backends.choice import installed_backends
from resift.calibrations import ModelCalibration
from resift.call import Call
from resift.loading import opening
from resift.loading.identity import digest_of, identity_of
from resift.loading.model import LoadedModel
from resift.loading.pool import Pool
from resift.once import Once
from resift.options import LoadOptions
from resift.redaction import shown
from resift.request import Request
from resift.scoring.scorer import Scored, Source, Uncopied
from resift.scoring.work import Work

_logger = logging.getLogger(__name__)


class LocalScorer(Uncopied):
    """The model that ``options`` name, loaded when it is first needed, once in each process.

    ``load`` opens it; the default is ``opening.load_model``. Raises ``InvalidRequestError`` for an
    unknown backend, and ``BackendUnavailableError`` for one that isn't installed.
    """

    def __init__(
        self,
        options: LoadOptions,
        load: Callable[[], LoadedModel] | None = None,
        pool: Pool | None = None,
    ) -> None:
        backend = installed_backends(options.backend, options.first_device)[0]
        self._identity = Once(lambda: identity_of(self._model.get()))
        self._source = Source(
            model=shown(os.fspath(options.model)), backend=backend, identity=self._identity.get
        )
        self._max_batch_tokens = options.max_batch_tokens
        self._given = options, load
        self._model = Once(load or partial(_load, options, pool))
        self._digest = Once(lambda: digest_of(self._model.get()))

    @property
    def source(self) -> Source:
        """The origin of its logits; complete once the model is loaded."""
        if not self._model.is_made:
            return self._source
        model = self._model.get()
        card = model.files.card
        return replace(
            self._source,
            backend=model.way.backend,
            revision=model.files.revision,
            device=model.backend.device,
            precision=model.way.precision,
            status="fallback" if model.fallback else "complete",
            place_weight=card.place_weight if card else None,
        )

    def warm_up(self, call: Call) -> None:
        """Load the model now, unless it is loaded, or as far as the call's deadline allows."""
        loaded = self._in_time(call)
        if loaded is not None and isinstance(call.options.normalization, ModelCalibration):
            # It may read files, which no call should wait for.
            self._identity.get()

    @property
    def loaded(self) -> LoadedModel:
        """The model, loaded now unless it is loaded, outside of any call."""
        return self._model.get()

    def digest(self, call: Call) -> str | None:
        """A digest of the model, loaded now unless it is loaded; see ``Identified``."""
        return None if self._in_time(call) is None else self._digest.get()

    def cuts(self, request: Request, call: Call) -> list[int | None]:
        """Find where each text is cut, by the model, loaded now unless it is; see ``Cutting``."""
        model = self.loaded
        with model.reading:
            return model.reader.cuts(request, call.options)

    def score(self, requests: Sequence[Request], call: Call) -> list[Scored]:
        """Score every text, or those that there is time for.

        Raises ``InvalidRequestError`` for an impossible ``max_length``, and ``OverloadedError``.
        """
        model = self._in_time(call)
        if model is None:
            _logger.warning(
                "%s isn't loaded at the deadline of %g ms: nothing was scored. It is being loaded, "
                "and a later call will find it; warm_up() loads it beforehand",
                self._source.model,
                call.options.deadline_ms,
            )
            return [Scored.nothing(len(x.texts), self._source, late=True) for x in requests]
        budget = self._max_batch_tokens or model.backend.max_batch_tokens
        work = Work(model, requests, budget, call)
        work.run()
        with model.reading:
            return work.answers(self.source)

    def _in_time(self, call: Call) -> LoadedModel | None:
        """The model, or ``None`` where it isn't loaded at the deadline; it is then loaded on."""
        if self._model.is_made:
            return self._model.get()
        with call.watch.phase("load"):
            return self._model.get_within(call.remaining)

    def __reduce__(self) -> tuple[Any, ...]:
        return LocalScorer, self._given

    def __repr__(self) -> str:
        return f"LocalScorer({self._given[0]!r})"


def _load(options: LoadOptions, pool: Pool | None) -> LoadedModel:
    # Looked up now: tests replace it.
    return opening.load_model(options, pool) if pool else opening.load_model(options)
