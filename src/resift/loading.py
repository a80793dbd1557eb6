"""A model made ready to score pairs: its family, its tokenizer and its backend."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resift.backends import BACKENDS, Backend, backend_class
from resift.backends.threads import available_threads
from resift.errors import InvalidRequestError
from resift.families import Family, find_family
from resift.models import ModelFiles, find_model
from resift.models.card import Artifact, Golden
from resift.options import LoadOptions, RankOptions
from resift.request import Request
from resift.tokenization import Pair, PairTokenizer, TokenizedRequest

_logger = logging.getLogger(__name__)

DEFAULT_MAX_LENGTH = 512
"""Where no card says otherwise: what most cross-encoders were trained at."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """Everything that scoring needs, shared by all threads."""

    files: ModelFiles
    family: Family
    tokenizer: PairTokenizer
    backend: Backend
    precision: str
    golden: Golden | None
    """What the weights must give, if their maker said."""
    wider_backend: Callable[[], Backend]
    """The same model in float32: ``backend`` itself where it is that already."""
    threads: int
    pool: ThreadPoolExecutor
    """Runs ``threads`` forward passes at a time, for all calls."""
    window: int
    """The longest pair the model was built for, in tokens."""
    max_length: int
    """Where a call gives none."""
    one_by_one: bool
    """Whether a pair must have a forward pass of its own, as others would change its logit."""

    @classmethod
    def load(cls, backend: str, options: LoadOptions) -> LoadedModel:
        """Find the model and read it.

        Raises ``ModelError`` or ``BackendUnavailableError``, each naming the file or the option.
        """
        files = find_model(
            options.model,
            revision=options.revision,
            cache_dir=options.cache_dir,
            offline=options.offline,
            format=BACKENDS[backend].format,
            precision=options.precision,
            trust_remote_code=options.trust_remote_code,
            check_family=find_family,
        )
        card = files.card
        family = find_family(files.config, files.family, files.name)
        window = card.window if card else family.window(files.config)

        threads = options.threads or available_threads()

        def open_backend(precision: str | None) -> tuple[Backend, Artifact]:
            path, artifact = files.artifact(BACKENDS[backend].format, precision)
            return backend_class(backend)(path, device=options.device), artifact

        opened, artifact = open_backend(options.precision)
        precision = artifact.precision
        return cls(
            files=files,
            family=family,
            tokenizer=PairTokenizer(files.tokenizer, pad_token_id=files.pad_token_id),
            backend=opened,
            precision=precision,
            golden=files.golden(artifact),
            wider_backend=lambda: opened if precision == "fp32" else open_backend("fp32")[0],
            threads=threads,
            pool=ThreadPoolExecutor(threads, thread_name_prefix="resift"),
            window=window,
            max_length=card.max_length
            if card
            else min(
                files.listed_max_length or DEFAULT_MAX_LENGTH,
                window,
                files.model_max_length or window,
            ),
            one_by_one=files.mixes_rows(artifact),
        )

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

        ``threads`` batches run at a time, each on one thread. Calls that share the model take
        turns: each has only so many batches waiting.
        """
        waiting: deque[Future[NDArray[np.float32]]] = deque()
        try:
            for batch in batches:
                waiting.append(self.pool.submit(self._forward, batch))
                if len(waiting) > 2 * self.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _forward(self, pairs: Sequence[Pair]) -> NDArray[np.float32]:
        batch = self.tokenizer.collate(pairs)
        logits = self.family.logits(self.backend.forward(batch))
        if not np.isfinite(logits).all():
            _logger.warning("%s gave NaN or infinity; computing again in fp32", self.files.name)
            logits = self.family.logits(self.wider_backend().forward(batch))
        return logits
