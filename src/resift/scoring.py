"""Tokenized requests to logits: every pair forwarded once, in batches across all requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resift.loading import LoadedModel
from resift.text.batch import Pair
from resift.text.batching import plan_batches
from resift.text.tokenizer import TokenizedRequest


@dataclass(frozen=True, slots=True)
class ScoredRequest:
    """The logits of one request's different texts, and the work they were."""

    logits: NDArray[np.float32]
    """``[texts]``; a text of several windows has the largest of theirs."""
    pairs: int
    tokens: int
    padded_tokens: int


def score_requests(
    model: LoadedModel,
    requests: Sequence[TokenizedRequest],
    *,
    max_batch_tokens: int | None,
    progress: Callable[[int, int], None],
) -> list[ScoredRequest]:
    """Score all pairs of all requests; ``progress`` gets the pairs done and the pairs in all."""
    pairs = [
        Pair(request.query, window)
        for request in requests
        for document in request.documents
        for window in document.windows
    ]
    lengths = np.array([model.tokenizer.length(pair) for pair in pairs], dtype=np.int64)
    padded = np.array([model.padded_length(length) for length in lengths], dtype=np.int64)
    logits = np.empty(len(pairs), dtype=np.float32)
    done = 0
    progress(done, len(pairs))
    # Within a budget of one token, each pair is a batch of its own.
    budget = 1 if model.one_by_one else max_batch_tokens or model.backend.max_batch_tokens
    batches = plan_batches(padded.tolist(), budget, equal_lengths=not model.backend.pads)
    with closing(model.logits([pairs[i] for i in batch] for batch in batches)) as forwarded:
        for batch, batch_logits in zip(batches, forwarded, strict=True):
            logits[batch] = batch_logits
            padded[batch] = padded[batch].max()
            done += len(batch)
            progress(done, len(pairs))

    scored, start = [], 0
    for request in requests:
        windows = [len(document.windows) for document in request.documents]
        stop = start + sum(windows)
        firsts = start + np.cumsum([0, *windows[:-1]])
        scored.append(
            ScoredRequest(
                logits=np.maximum.reduceat(logits[:stop], firsts) if windows else logits[:0],
                pairs=stop - start,
                tokens=int(lengths[start:stop].sum()),
                padded_tokens=int(padded[start:stop].sum()),
            )
        )
        start = stop
    return scored
