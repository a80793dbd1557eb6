"""The event with the phase times of a reranking."""

from __future__ import annotations

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.instrumentation.events import BaseEvent

from resift import Ranking, TimingEvent


class RerankTimingEvent(BaseEvent):
    """``resift.TimingEvent`` as a LlamaIndex event: one flat record for each finished reranking.

    Sent inside the postprocessor's span, between its ``ReRankStartEvent`` and ``ReRankEndEvent``.
    Seconds on a monotonic clock, as in ``resift.Timings``; counts as in ``resift.Counts``.
    """

    model: str
    revision: str | None
    backend: str
    device: str | None
    precision: str | None
    scale: str
    status: str
    error: str | None
    load: float
    tokenize: float
    queue: float
    infer: float
    rank: float
    total: float
    documents: int
    scored: int
    cached: int
    pairs: int
    tokens: int
    padded_tokens: int
    truncated_documents: int
    pruned_documents: int
    repairs: int

    # Not a field: handlers that send events elsewhere would send each document's place and score.
    _ranking: Ranking | None = PrivateAttr(default=None)

    @property
    def ranking(self) -> Ranking | None:
        """The ranking that was timed, which isn't sent anywhere."""
        return self._ranking

    @classmethod
    def class_name(cls) -> str:
        """The event's name, as handlers see it."""
        return "RerankTimingEvent"

    @classmethod
    def of(cls, ranking: Ranking) -> RerankTimingEvent:
        """Make the event of the call that made ``ranking``."""
        event = cls(**TimingEvent.of(ranking).to_dict())
        event._ranking = ranking
        return event
