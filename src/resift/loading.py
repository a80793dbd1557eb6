"""A model made ready to score pairs: its family, its tokenizer and its backend."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resift import machine
from resift.backends import (
    BACKENDS,
    Backend,
    backend_class,
    having_code,
    installed_backends,
    with_code,
)
from resift.backends.processes import ProcessesBackend
from resift.errors import (
    BackendUnavailableError,
    InvalidRequestError,
    SelfTestError,
)
from resift.families import Family, find_family
from resift.models import ModelFiles, find_model
from resift.models.card import Artifact, Golden
from resift.options import LoadOptions, RankOptions, Token, resolved
from resift.plan import Way, Wish, plan_of, wider
from resift.request import Request
from resift.selftest import check_golden
from resift.text.batch import Pair
from resift.text.tokenizer import PairTokenizer, TokenizedRequest

_logger = logging.getLogger(__name__)

DEFAULT_MAX_LENGTH = 512
"""Where no card says otherwise: what most cross-encoders were trained at."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """Everything that scoring needs, shared by all threads."""

    files: ModelFiles
    artifact: Artifact
    family: Family
    tokenizer: PairTokenizer
    backend_name: str
    backend: Backend | ProcessesBackend
    precision: str
    golden: Golden | None
    """What the weights must give, if their maker said."""
    wider_backend: Callable[[], Backend | ProcessesBackend | None]
    """The same model in float32, maybe ``backend`` itself; ``None`` without such weights."""
    pool: ThreadPoolExecutor
    """Runs as many forward passes at a time as the backend has workers, for all calls."""
    window: int
    """The longest pair the model was built for, in tokens."""
    max_length: int
    """Where a call gives none."""
    one_by_one: bool
    """Whether a pair must have a forward pass of its own, as others would change its logit."""
    fallback: bool = False
    """Whether a faster way to run the model gave wrong logits on this machine."""

    @classmethod
    def load(cls, options: LoadOptions) -> LoadedModel:
        """Find the model, and read it in the first way that passes its self-test.

        Raises ``ModelError`` or ``BackendUnavailableError``, each naming the file or the option.
        """
        backends = installed_backends(options.backend, options.first_device)
        files = find_files(
            options.model,
            backends,
            revision=options.revision,
            cache_dir=options.cache_dir,
            offline=options.offline,
            precision=options.precision,
            trust_remote_code=options.trust_remote_code,
            token=options.token,
        )
        found = plan_of(files, backends, options.precision, options.first_device)
        for reason in found.refused:
            _logger.info("%s: %s", files.name, reason)
        opener = _Opener.of(files, options, backends)
        missing: list[BackendUnavailableError] = []
        faults: list[SelfTestError] = []
        for way in found.ways:
            try:
                model = opener.open(way)
                check_golden(model)
            # A damaged file has an error of its own, and nothing runs in its place.
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

    def padded_length(self, length: int) -> int:
        """What the backend wants a batch padded to whose longest pair has ``length`` tokens."""
        multiple = self.backend.length_multiple
        return max(length, min(-(-length // multiple) * multiple, self.window))

    def tokenize(self, request: Request, options: RankOptions) -> TokenizedRequest:
        """Raises ``InvalidRequestError`` for a ``max_length`` beyond the model's window."""
        max_length = options.max_length or self.max_length
        if max_length > self.window:
            raise InvalidRequestError(
                f"max_length={max_length} is more than {self.files.name} was built for; "
                f"expected at most {self.window}. For longer documents: long_documents='windows'"
            )
        query, texts = self.family.format(request.query, request.texts)
        return self.tokenizer.tokenize(
            query, texts, max_length=max_length, long_documents=options.long_documents
        )

    def logits(
        self, batches: Iterable[Sequence[Pair]]
    ) -> Generator[NDArray[np.float32], None, None]:
        """Forward each batch once: ``float32 [len(batch)]`` in the order given.

        As many batches run at a time as the backend has workers. Calls that share the model take
        turns: each has only so many batches waiting.
        """
        waiting: deque[Future[NDArray[np.float32]]] = deque()
        try:
            for batch in batches:
                waiting.append(self.pool.submit(self._forward, batch))
                if len(waiting) > 2 * self.backend.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _forward(self, pairs: Sequence[Pair]) -> NDArray[np.float32]:
        longest = max(map(self.tokenizer.length, pairs))
        batch = self.tokenizer.collate(pairs, self.padded_length(longest))
        logits = self.family.logits(self.backend.forward(batch))
        if not np.isfinite(logits).all():
            wider = self.wider_backend()
            if wider is not None:
                _logger.warning("%s gave NaN or infinity; computing again in fp32", self.files.name)
                logits = self.family.logits(wider.forward(batch))
        return logits


@dataclass(frozen=True, slots=True)
class _Opener:
    """A model that was found, and what all ways to run it share."""

    files: ModelFiles
    options: LoadOptions
    backends: Sequence[str]
    family: Family
    tokenizer: PairTokenizer
    vocabulary_ids: Sequence[int]

    @classmethod
    def of(cls, files: ModelFiles, options: LoadOptions, backends: Sequence[str]) -> _Opener:
        family = find_family(files.config, files.family, files.name)
        prompt = family.prompt
        tokenizer = PairTokenizer(files.tokenizer, pad_token_id=files.pad_token_id, prompt=prompt)
        vocabulary_ids = tokenizer.token_ids(prompt.answers) if prompt else []
        able = with_code(backends, files.config)
        return cls(files, options, able, family, tokenizer, vocabulary_ids)

    def open(self, way: Way) -> LoadedModel:
        """Raises ``ModelError`` naming a file, ``BackendUnavailableError`` without the device."""
        files, card = self.files, self.files.card
        backend = self._backends(way)
        window = card.window if card else self.family.window(files.config)
        return LoadedModel(
            files=files,
            artifact=way.artifact,
            family=self.family,
            tokenizer=self.tokenizer,
            backend_name=way.backend,
            backend=backend,
            precision=way.precision,
            golden=files.golden(way.artifact),
            # Kept, where it is ever needed: a model with one NaN may have more.
            wider_backend=cache(partial(self._wider, way, backend)),
            pool=ThreadPoolExecutor(backend.workers, thread_name_prefix="resift"),
            window=window,
            max_length=card.max_length
            if card
            else min(
                files.listed_max_length or DEFAULT_MAX_LENGTH,
                window,
                files.model_max_length or window,
            ),
            one_by_one=files.mixes_rows(way.artifact),
        )

    def _wider(
        self, way: Way, backend: Backend | ProcessesBackend
    ) -> Backend | ProcessesBackend | None:
        if way.precision == "fp32":
            return backend
        found = wider(self.files.artifacts, way, self.backends, machine.processor())
        try:
            return self._backend(found) if found else None
        except BackendUnavailableError as error:
            _logger.info("%s", error)
            return None

    def _backends(self, way: Way) -> Backend | ProcessesBackend:
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


def find_files(
    model: str | os.PathLike[str],
    backends: Sequence[str],
    *,
    revision: str | None,
    cache_dir: str | os.PathLike[str] | None,
    offline: bool | None,
    precision: str | None,
    trust_remote_code: bool,
    token: Token = None,
) -> ModelFiles:
    """``find_model`` for ``backends``; what none of them runs is refused before it is fetched."""

    def check(config: Mapping[str, Any], family: str | None, name: str) -> None:
        found = find_family(config, family, name)
        if not config:
            # Of a model in the catalogue, the family is known before its configuration.
            architecture = getattr(found, "architecture", None)
            config = {"architectures": [architecture] if architecture else []}
        having_code(backends, config, name)

    return find_model(
        model,
        revision=revision,
        cache_dir=cache_dir,
        offline=offline,
        wanted=Wish.of(backends, precision),
        trust_remote_code=trust_remote_code,
        # Asked for only where something is downloaded.
        token=lambda: resolved(token),
        check_family=check,
        known_code=[each for name in backends for each in BACKENDS[name].architectures],
    )
