"""A model on this machine as a scorer: texts to tokens to logits."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resift.backends.choice import installed_backends
from resift.call import Call
from resift.loading import opening
from resift.loading.identity import digest_of
from resift.loading.model import LoadedModel
from resift.loading.reader import Reader
from resift.once import Once
from resift.options import LoadOptions
from resift.redaction import shown
from resift.request import Request
from resift.scoring.scorer import Scored, Source, Uncopied
from resift.text.batch import Pair
from resift.text.batching import plan_batches
from resift.text.tokenizer import TokenizedRequest
from resift.text.windows import TokenizedText

Ints = NDArray[np.int64]


class LocalScorer(Uncopied):
    """The model that ``options`` name, loaded when it is first needed, once in each process.

    ``load`` opens it; the default is ``opening.load_model``. Raises ``InvalidRequestError`` for an
    unknown backend, and ``BackendUnavailableError`` for one that isn't installed.
    """

    def __init__(self, options: LoadOptions, load: Callable[[], LoadedModel] | None = None) -> None:
        backend = installed_backends(options.backend, options.first_device)[0]
        self._source = Source(model=shown(os.fspath(options.model)), backend=backend)
        self._max_batch_tokens = options.max_batch_tokens
        self._given = options, load
        self._model = Once(load or (lambda: opening.load_model(options)))
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
        """Load the model now, unless it is loaded."""
        self.model(call)

    def model(self, call: Call) -> LoadedModel:
        """The model, loaded now unless it is loaded. Raises what ``opening.load_model`` raises."""
        if self._model.is_made:
            return self._model.get()
        with call.watch.phase("load"):
            return self._model.get()

    @property
    def loaded(self) -> LoadedModel:
        """The model, loaded now unless it is loaded, outside of any call."""
        return self._model.get()

    def digest(self, call: Call) -> str | None:
        """A digest of the model, loaded now unless it is loaded; see ``Identified``."""
        self.model(call)
        return self._digest.get()

    def score(self, requests: Sequence[Request], call: Call) -> list[Scored]:
        """Score every text. Raises ``InvalidRequestError`` for an impossible ``max_length``."""
        model = self.model(call)
        source = self.source
        with call.watch.phase("tokenize"):
            tokenized = [_tokenize(model.reader, request, call) for request in requests]
        with call.watch.phase("infer"):
            pairs = [
                Pair(tokens.query, window)
                for tokens in tokenized
                for text in tokens.texts
                for window in text.windows
            ]
            budget = self._max_batch_tokens or model.backend.max_batch_tokens
            logits, lengths, padded = _forward(model, pairs, budget, call)
        bounds = pairwise(accumulate((tokens.pairs for tokens in tokenized), initial=0))
        return [
            _answer(tokens, logits[start:stop], lengths[start:stop], padded[start:stop], source)
            for tokens, (start, stop) in zip(tokenized, bounds, strict=True)
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        return LocalScorer, self._given

    def __repr__(self) -> str:
        return f"LocalScorer({self._given[0]!r})"


def _tokenize(reader: Reader, request: Request, call: Call) -> TokenizedRequest:
    # In a cascade, the second scorer gets some of the texts again, and may share the tokenizer.
    key = (reader.tokenizer, request.query)
    known: tuple[TokenizedRequest, dict[str, TokenizedText]] | None = call.memo.get(key)
    if known is not None and known[1].keys() >= set(request.texts):
        tokens, by_text = known
        return replace(tokens, texts=tuple(by_text[text] for text in request.texts))
    tokens = reader.tokenize(request, call.options)
    call.memo[key] = tokens, dict(zip(request.texts, tokens.texts, strict=True))
    return tokens


def _forward(
    model: LoadedModel, pairs: Sequence[Pair], budget: int, call: Call
) -> tuple[NDArray[np.float32], Ints, Ints]:
    """Forward all pairs. Returns their logits, lengths and padded lengths, ``[pairs]`` each."""
    length = model.reader.tokenizer.length
    lengths = np.array([length(pair) for pair in pairs], dtype=np.int64)
    padded = np.array([model.padded_length(length) for length in lengths], dtype=np.int64)
    logits = np.empty(len(pairs), dtype=np.float32)
    done = 0
    call.step(done, len(pairs))
    # Within a budget of one token, each pair is a batch of its own.
    budget = 1 if model.one_by_one else budget
    batches = plan_batches(padded.tolist(), budget, equal_lengths=not model.backend.pads)
    with closing(model.logits([pairs[i] for i in batch] for batch in batches)) as forwarded:
        for batch, batch_logits in zip(batches, forwarded, strict=True):
            logits[batch] = batch_logits
            padded[batch] = padded[batch].max()
            done += len(batch)
            call.step(done, len(pairs))
    return logits, lengths, padded


def _answer(
    tokens: TokenizedRequest,
    logits: NDArray[np.float32],
    lengths: Ints,
    padded: Ints,
    source: Source,
) -> Scored:
    """Reduce a request's pairs to its texts, each with the largest logit of its windows."""
    windows = np.array([len(text.windows) for text in tokens.texts], dtype=np.int64)
    firsts = np.cumsum(windows) - windows
    return Scored(
        logits=np.maximum.reduceat(logits, firsts) if len(windows) else logits,
        scored=np.ones(len(windows), dtype=np.bool_),
        pairs=windows,
        truncated_tokens=np.array([text.truncated_tokens for text in tokens.texts], np.int64),
        source=source,
        query_truncated=tokens.query_truncated,
        tokens=int(lengths.sum()),
        padded_tokens=int(padded.sum()),
    )
