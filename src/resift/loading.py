"""A model made ready to score pairs: its family, its tokenizer and its backend."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resift.backends import BACKENDS, Backend, backend_class
from resift.backends.threads import available_threads
from resift.errors import InvalidRequestError
from resift.families import Family, find_family
from resift.models import ModelFiles, find_model
from resift.options import LoadOptions, RankOptions
from resift.request import Request
from resift.tokenization import Pair, PairTokenizer, TokenizedRequest

_logger = logging.getLogger(__name__)

# Where no card says otherwise: what most cross-encoders were trained at.
_DEFAULT_MAX_LENGTH = 512


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """Everything that scoring needs, shared by all threads."""

    files: ModelFiles
    family: Family
    tokenizer: PairTokenizer
    backend: Backend
    precision: str
    wider_backend: Callable[[], Backend]
    """The same model in float32: ``backend`` itself where it is that already."""
    window: int
    """The longest pair the model was built for, in tokens."""
    max_length: int
    """Where a call gives none."""

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
        )
        card = files.card
        family = find_family(files.config, card.family if card else None, files.name)
        window = card.window if card else family.window(files.config)

        def open_backend(precision: str | None) -> tuple[Backend, str]:
            path, stored = files.artifact(BACKENDS[backend].format, precision)
            threads = options.threads or available_threads()
            return backend_class(backend)(path, device=options.device, threads=threads), stored

        opened, precision = open_backend(options.precision)
        return cls(
            files=files,
            family=family,
            tokenizer=PairTokenizer(files.tokenizer, pad_token_id=files.pad_token_id),
            backend=opened,
            precision=precision,
            wider_backend=lambda: opened if precision == "fp32" else open_backend("fp32")[0],
            window=window,
            max_length=card.max_length
            if card
            else min(_DEFAULT_MAX_LENGTH, window, files.model_max_length or window),
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

    def logits(self, pairs: Sequence[Pair]) -> NDArray[np.float32]:
        """One forward pass: ``float32 [len(pairs)]``, computed again in float32 if not finite."""
        batch = self.tokenizer.collate(pairs)
        logits = self.family.logits(self.backend.forward(batch))
        if not np.isfinite(logits).all():
            _logger.warning("%s gave NaN or infinity; computing again in fp32", self.files.name)
            logits = self.family.logits(self.wider_backend().forward(batch))
        return logits
