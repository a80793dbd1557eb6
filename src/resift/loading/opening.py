"""Opening model files in the first way that works."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import BoundedSemaphore

from resift import machine
from resift.backends.choice import backend_class, first_able, with_code
from resift.backends.processes import ProcessesBackend
from resift.backends.protocol import Backend
from resift.errors import BackendUnavailableError, SelfTestError
from resift.families.table import find_family
from resift.loading.costs import Costs
from resift.loading.finding import find_files
from resift.loading.model import AnyBackend, LoadedModel
from resift.loading.plan import Way, plan_of, wider
from resift.loading.pool import Pool
from resift.loading.reader import Reader
from resift.loading.selftest import check_golden
from resift.models.folder import ModelFiles
from resift.once import Once
from resift.options import LoadOptions
from resift.text.tokenizer import PairTokenizer

_logger = logging.getLogger(__name__)

DEFAULT_MAX_LENGTH = 512
"""Tokens of a pair where no card says otherwise: what most cross-encoders were trained with."""


def load_model(options: LoadOptions, pool: Pool | None = None) -> LoadedModel:
    """Find a model, and open it in the first way that passes its self-test.

    Its passes run in ``pool``, or else in threads of its own. Raises ``ModelError`` or
    ``BackendUnavailableError``, each naming the file or the option.
    """
    load = partial(_load, options, pool)
    return first_able(options.backend, options.first_device, load)


def _load(options: LoadOptions, pool: Pool | None, backends: Sequence[str]) -> LoadedModel:
    files = find_files(options, backends)
    found = plan_of(files, backends, options.precision, options.first_device)
    for reason in found.refused:
        _logger.info("%s: %s", files.name, reason)
    opener = Opener.of(files, options, backends, pool)
    missing: list[BackendUnavailableError] = []
    faults: list[SelfTestError] = []
    for way in found.ways:
        try:
            model = opener.open(way)
            check_golden(model)
        # A damaged file raises another error, and no other weights are tried.
        except BackendUnavailableError as error:
            _logger.info("%s", error)
            missing.append(error)
        except SelfTestError as error:
            _logger.warning("%s", error)
            faults.append(error)
        else:
            return replace(model, fallback=bool(faults))
    message = "; ".join(str(error) for error in [*missing, *faults])
    raise SelfTestError(message) if faults else BackendUnavailableError(message)


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens a model that was found; holds what all ways to run it share."""

    files: ModelFiles
    options: LoadOptions
    backends: Sequence[str]
    """The backends that have the model's code."""
    reader: Reader
    vocabulary_ids: Sequence[int]
    """The ids of the answers of a model with a language-modelling head."""
    pool: Pool

    @classmethod
    def of(
        cls,
        files: ModelFiles,
        options: LoadOptions,
        backends: Sequence[str],
        pool: Pool | None = None,
    ) -> Opener:
        """Prepare to open a model.

        Raises ``UnsupportedModelError`` for a tokenizer or a configuration that can't be used.
        """
        family = find_family(files.config, files.family, files.name)
        prompt, card = family.prompt, files.card
        tokenizer = PairTokenizer(files.tokenizer, pad_token_id=files.pad_token_id, prompt=prompt)
        window = card.window if card else family.window(files.config)
        usual = files.listed_max_length or DEFAULT_MAX_LENGTH
        max_length = (
            card.max_length if card else min(usual, window, files.model_max_length or window)
        )
        reader = Reader(files.name, family, tokenizer, window, max_length)
        vocabulary_ids = tokenizer.token_ids(prompt.answers) if prompt else []
        coding = with_code(backends, files.config)
        pool = pool or Pool(
            max_queue_pairs=options.max_queue_pairs, max_queue_tokens=options.max_queue_tokens
        )
        return cls(files, options, coding, reader, vocabulary_ids, pool)

    def open(self, way: Way) -> LoadedModel:
        """Open the model in one way.

        Raises ``ModelError`` naming a file, ``BackendUnavailableError`` for a missing device.
        """
        backend = self._backends(way)
        return LoadedModel(
            files=self.files,
            way=way,
            reader=self.reader,
            backend=backend,
            float32=Once(partial(self._float32, way, backend)),
            queue=self.pool.queue(backend.device, backend.workers),
            costs=Costs(),
            reading=BoundedSemaphore(machine.available_threads()),
            one_by_one=self.files.mixes_rows(way.artifact),
        )

    def _float32(self, way: Way, backend: AnyBackend) -> AnyBackend | None:
        if way.precision == "fp32":
            return backend
        found = wider(self.files.artifacts, way, self.backends, machine.processor())
        try:
            return self._backend(found) if found else None
        except BackendUnavailableError as error:
            _logger.info("%s", error)
            return None

    def _backends(self, way: Way) -> AnyBackend:
        if self.options.devices is None:
            return self._backend(way)
        return ProcessesBackend(
            way.backend,
            self.files.path(way.artifact),
            devices=self.options.devices,
            precision=way.precision,
            threads=self._threads,
            vocabulary_ids=self.vocabulary_ids,
        )

    def _backend(self, way: Way) -> Backend:
        return backend_class(way.backend)(
            self.files.path(way.artifact),
            device=self.options.first_device,
            precision=way.precision,
            threads=self._threads,
            vocabulary_ids=self.vocabulary_ids,
        )

    @property
    def _threads(self) -> int:
        return self.options.threads or machine.available_threads()
