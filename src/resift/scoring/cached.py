"""A cache of logits in front of a scorer."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Any

import numpy as np

from resift.call import Call
from resift.checks import check_path, check_positive_int
from resift.errors import InvalidRequestError
from resift.request import Request
from resift.scales import LOGIT
from resift.scoring.asking import ask
from resift.scoring.disk import Disk
from resift.scoring.ready import check_is_scorer
from resift.scoring.scorer import (
    Identified,
    Scored,
    Scorer,
    Source,
    Uncopied,
    cuts_of,
    rebuilt,
)
from resift.scoring.stores import Entry, Memory, Store

_logger = logging.getLogger(__name__)

DEFAULT_MAX_BYTES = 64 * 2**20
"""The default of ``max_bytes``: some 170,000 texts in memory, 500,000 on disk."""


class Cached(Uncopied):
    """Scores a text that was scored before by looking it up; no score is another for it.

    An entry belongs to the model's weights, tokenizer, precision and backend, to the options that
    cut texts, and to query and text; of these it keeps a digest alone. Around scorers that are made
    of others, each model in them has entries of its own. A scorer that has no ``digest`` is asked
    for every text, and a warning in the log says so once.

    ``max_bytes``: how much is kept, in this process, of what was used last. With ``folder`` it is
    kept in a file there, for all processes on this machine, of what was scored last.

    Raises ``InvalidRequestError`` for a ``scorer`` that isn't one, and for other invalid arguments.
    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        check_is_scorer("scorer", scorer)
        checked = check_positive_int("max_bytes", max_bytes, f"left out for {DEFAULT_MAX_BYTES}")
        if checked is None:
            raise InvalidRequestError("max_bytes must be an int of at least 1, not None")
        self._given, self._max_bytes, self._folder = scorer, checked, check_path("folder", folder)
        store = Memory(checked) if folder is None else Disk(folder, checked)
        self._scorer = rebuilt(scorer, lambda model: _CachedModel(model, store))

    @property
    def source(self) -> Source:
        """The source of the scorer behind it."""
        return self._given.source

    @property
    def behind(self) -> Scorer:
        """The scorer that was given: it scores each text, whatever is kept."""
        return self._given

    def warm_up(self, call: Call) -> None:
        """Load what the scorer behind it loads, and what tells its logits from another's."""
        self._scorer.warm_up(call)

    def score(self, requests: Sequence[Request], call: Call) -> list[Scored]:
        """Answer each request; the scorer gets the texts that aren't kept."""
        return self._scorer.score(requests, call)

    def cuts(self, request: Request, call: Call) -> list[int | None]:
        """Find where the scorer behind it cuts each text; see ``Cutting``."""
        return cuts_of(self._given, request, call)

    def rebuilt(self, wrap: Callable[[Scorer], Scorer]) -> Scorer:  # noqa: ARG002
        """The same scorer: a model is cached once."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Cached, self._given, max_bytes=self._max_bytes, folder=self._folder), ()

    def __repr__(self) -> str:
        folder = "" if self._folder is None else f", folder={os.fspath(self._folder)!r}"
        return f"Cached({self._given!r}, max_bytes={self._max_bytes}{folder})"


class _CachedModel:
    """One model, with the store that it shares with others."""

    def __init__(self, model: Scorer, store: Store) -> None:
        self._model, self._store = model, store
        self._warned = False

    @property
    def source(self) -> Source:
        return self._model.source

    def warm_up(self, call: Call) -> None:
        self._model.warm_up(call)
        if isinstance(self._model, Identified):
            # It may read files, which no call should wait for.
            self._model.digest(call)

    def score(self, requests: Sequence[Request], call: Call) -> list[Scored]:
        digest = self._model.digest(call) if isinstance(self._model, Identified) else None
        if digest is None:
            answers = ask(self._model, requests, call)
            # Where nothing was scored, it may only be that the model isn't loaded in time.
            if any(answer.scored.any() for answer in answers):
                self._warn()
            return answers
        keys = [_keys(digest, request, call) for request in requests]
        found = self._store.get({key for each in keys for key in each})
        missing = [
            request.only([key not in found for key in each])
            for request, each in zip(requests, keys, strict=True)
        ]
        answers = self._ask(missing, len(found), call)
        new: dict[bytes, Entry] = {}
        joined = []
        for each, answer in zip(keys, answers, strict=True):
            asked = [key for key in each if key not in found]
            new.update(_entries(asked, answer))
            joined.append(_joined(each, found, answer))
        if new:
            self._store.put(new)
        return joined

    def _ask(self, missing: Sequence[Request], hits: int, call: Call) -> list[Scored]:
        """The model's answers; in the progress, what was found is done."""
        shown = replace(call, progress=lambda done, total: call.progress(hits + done, hits + total))
        if not any(request.texts for request in missing):
            shown.step(0, 0)
        return ask(self._model, missing, shown)

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            _logger.warning(
                "%s has no digest that would tell its logits from another's: none of them is kept, "
                "and every text is scored",
                self._model.source.model,
            )


def _keys(digest: str, request: Request, call: Call) -> list[bytes]:
    """The key of each text: a sha256 over all that its logit depends on."""
    options = call.options
    # As JSON, so that no two lists of parts are the same bytes.
    lengths = (options.max_length, options.max_document_tokens, options.long_documents)
    known = [digest, *lengths, request.query]
    start = sha256(json.dumps(known).encode() + b"\0")
    keys = []
    for text in request.texts:
        key = start.copy()
        key.update(text.encode())
        keys.append(key.digest())
    return keys


def _entries(keys: Sequence[bytes], answer: Scored) -> dict[bytes, Entry]:
    """The part of an answer that is kept: what was scored, and came out finite."""
    # On another scale, values may depend on the other texts.
    if answer.source.scale != LOGIT or answer.logits.dtype != np.float32:
        return {}
    return {
        keys[at]: Entry(
            float(answer.logits[at]), int(answer.truncated_tokens[at]), answer.query_truncated
        )
        for at in np.flatnonzero(answer.scored & np.isfinite(answer.logits)).tolist()
    }


def _joined(keys: Sequence[bytes], found: dict[bytes, Entry], answer: Scored) -> Scored:
    """The answer to a request: what was ``found``, and what the model answered for the rest."""
    hits = [found.get(key) for key in keys]
    kept = np.array([hit is not None for hit in hits], dtype=np.bool_)
    if not kept.any():
        return answer
    entries = [hit for hit in hits if hit is not None]
    logits = np.empty(len(keys), dtype=np.float32)
    scored = kept.copy()
    pairs = np.zeros(len(keys), dtype=np.int64)
    truncated = np.empty(len(keys), dtype=np.int64)
    late = None if answer.late is None else np.zeros(len(keys), dtype=np.bool_)
    logits[kept] = [each.logit for each in entries]
    truncated[kept] = [each.truncated_tokens for each in entries]
    logits[~kept], truncated[~kept] = answer.logits, answer.truncated_tokens
    scored[~kept], pairs[~kept] = answer.scored, answer.pairs
    if late is not None:
        late[~kept] = answer.late
    return replace(
        answer,
        logits=logits,
        scored=scored,
        pairs=pairs,
        truncated_tokens=truncated,
        query_truncated=answer.query_truncated or entries[0].query_truncated,
        cached=len(entries),
        late=late,
    )
