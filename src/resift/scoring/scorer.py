"""The interface of scorers, and the form of their answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from resift.call import Call
from resift.errors import InvalidRequestError
from resift.ranking import Stage, Status
from resift.request import Request


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The origin of a request's logits."""

    model: str
    backend: str
    revision: str | None = None
    """``None`` where the model has none, or isn't loaded."""
    device: str | None = None
    """``None`` where it is unknown, or the model isn't loaded."""
    precision: str | None = None
    """The precision of the matrix products; ``None`` as for ``device``."""
    status: Status = "complete"
    scale: str = "logit"
    """The scale of ``Scored.logits``: ``"logit"``, the name of a server's own, or ``"order"`` where
    they only fall from the best on.
    """
    place_weight: float | None = None
    """The ``place_weight`` of ``prior="auto"``; ``None`` where the model has none, or isn't loaded.
    """
    identity: Callable[[], str | None] | None = field(default=None, compare=False, repr=False)
    """Gives a digest of the model, the same whatever runs it, for calibrations that belong to one
    model; ``None`` where nothing tells it. It may read all weights, so it is asked only for those.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """The logits of one request's different texts, and the work behind them."""

    logits: NDArray[np.float32] | NDArray[np.float64]
    """``[texts]``, of the source's ``scale``, ``float64`` only for a scale other than ``"logit"``;
    NaN where a text wasn't scored, or where the model returned NaN.
    """
    scored: NDArray[np.bool_]
    """``[texts]``; ``False`` where the text was left out, or is ``late``."""
    pairs: NDArray[np.int64]
    """``[texts]``; number of pairs scored: one for each window, 0 where the text was left out."""
    truncated_tokens: NDArray[np.int64]
    """``[texts]``; number of tokens that the model didn't see, or wouldn't have seen."""
    source: Source
    query_truncated: bool = False
    tokens: int = 0
    """Tokens in all pairs, special tokens included."""
    padded_tokens: int = 0
    """``tokens`` plus padding."""
    repairs: int = 0
    """Places of an order by a language model that were repaired."""
    late: NDArray[np.bool_] | None = None
    """``[texts]``; where the text wasn't scored for lack of time. Its documents follow those that
    were scored, in the order given. ``None`` where there is no such text.
    """
    cached: int = 0
    """Number of texts whose logit came from a cache."""
    stages: tuple[Stage, ...] = ()
    """The work of each model, for ``Ranking.stages``. A scorer that is one model may leave it
    empty: whoever asks it notes the work.
    """

    @classmethod
    def nothing(cls, texts: int, source: Source, *, late: bool = False) -> Scored:
        """The answer to a request whose ``texts`` texts were all left out, or are all ``late``."""
        return cls(
            logits=np.full(texts, np.nan, dtype=np.float32),
            scored=np.zeros(texts, dtype=np.bool_),
            pairs=np.zeros(texts, dtype=np.int64),
            truncated_tokens=np.zeros(texts, dtype=np.int64),
            source=source,
            late=np.ones(texts, dtype=np.bool_) if late else None,
        )


class Scorer(Protocol):
    """Answers requests with logits: a model, or a wrapper around other scorers.

    One instance is shared by any number of threads.
    """

    @property
    def source(self) -> Source:
        """The origin of its logits, as far as it is known before anything is loaded."""

    def score(self, requests: Sequence[Request], call: Call) -> list[Scored]:
        """Answer each request; some may have no texts.

        The work is done in ``call.watch.phase(…)``. ``call.step`` is called before the first batch
        and after each, which is where a cancelled call stops.
        """

    def warm_up(self, call: Call) -> None:
        """Load what a call with these options needs, unless it is loaded."""


class Uncopied:
    """A scorer that nobody changes, so that a copy is the instance itself, with all it loaded."""

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


@runtime_checkable
class Identified(Scorer, Protocol):
    """A scorer whose logits may be kept, as they depend on what it is and on what it is asked."""

    def digest(self, call: Call) -> str | None:
        """A digest of all that its logits depend on but query, text, and options of the call.

        ``None`` where that isn't known, or not at the call's deadline. It may load the model.
        """


@runtime_checkable
class Cutting(Scorer, Protocol):
    """A scorer that tells where it cuts long texts."""

    def cuts(self, request: Request, call: Call) -> list[int | None]:
        """Find the first character of each text that it doesn't see; ``None`` where it sees all.

        Offsets are in code points, from 0. It may load the model. Raises ``InvalidRequestError``
        for an impossible ``max_length``, or where it can't tell.
        """


def cuts_of(scorer: Scorer, request: Request, call: Call) -> list[int | None]:
    """Find where a scorer cuts each text. Raises ``InvalidRequestError`` if it doesn't tell."""
    if not isinstance(scorer, Cutting):
        raise InvalidRequestError(
            f"{scorer.source.model} doesn't tell where it cuts documents: a model on this machine "
            "does, with a cache or without. For others, truncated_tokens says how much wasn't seen"
        )
    return scorer.cuts(request, call)


@runtime_checkable
class Compound(Scorer, Protocol):
    """A scorer around scorers."""

    def rebuilt(self, wrap: Callable[[Scorer], Scorer]) -> Scorer:
        """The same scorer, with ``wrap`` around each model in it; both share what is loaded."""


def rebuilt(scorer: Scorer, wrap: Callable[[Scorer], Scorer]) -> Scorer:
    """``wrap`` around a scorer or, where it is made of others, around each model in it."""
    return scorer.rebuilt(wrap) if isinstance(scorer, Compound) else wrap(scorer)
