"""What a scorer is, and what it answers with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from resift.call import Call
from resift.ranking import Status
from resift.request import Request


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """What gave a request its logits."""

    model: str
    backend: str
    revision: str | None = None
    """``None`` where the model has none, or isn't loaded."""
    device: str | None = None
    """``None`` where that isn't known, or the model isn't loaded."""
    precision: str | None = None
    """What the matrix products ran in; ``None`` as for ``device``."""
    status: Status = "complete"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """The logits of one request's different texts, and the work they were."""

    logits: NDArray[np.float32]
    """``[texts]``; NaN where a text wasn't scored, and where the model gave it."""
    scored: NDArray[np.bool_]
    """``[texts]``; ``False`` where the text was left out."""
    pairs: NDArray[np.int64]
    """``[texts]``; how many were scored: one for each window of a text, 0 where it was left out."""
    truncated_tokens: NDArray[np.int64]
    """``[texts]``; the tokens that weren't, or wouldn't have been, seen."""
    source: Source
    query_truncated: bool = False
    tokens: int = 0
    """In all pairs, special tokens included."""
    padded_tokens: int = 0
    """``tokens`` plus padding."""

    @classmethod
    def nothing(cls, texts: int, source: Source) -> Scored:
        """What is known of so many texts that were left out."""
        return cls(
            logits=np.full(texts, np.nan, dtype=np.float32),
            scored=np.zeros(texts, dtype=np.bool_),
            pairs=np.zeros(texts, dtype=np.int64),
            truncated_tokens=np.zeros(texts, dtype=np.int64),
            source=source,
        )


class Scorer(Protocol):
    """Answers requests with logits: a model, or a wrapper around other scorers.

    One instance is shared by any number of threads.
    """

    @property
    def source(self) -> Source:
        """What would answer, as far as that is known before anything is loaded."""

    def score(self, requests: Sequence[Request], call: Call) -> list[Scored]:
        """Answer each request; some may have no texts.

        Does its work in ``call.watch.phase(…)``, and calls ``call.step`` before the first batch and
        after each, which is where a call that was cancelled stops.
        """

    def warm_up(self, call: Call) -> None:
        """Load what a call with these options needs, unless it is loaded."""
