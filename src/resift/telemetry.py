"""Observing a call: phases while it runs, one event at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from resift.errors import InvalidRequestError
from resift.ranking import Counts, Ranking, Status, Timings

Phase = Literal["load", "tokenize", "infer", "rank"]
"""A part of a call's work, in this order."""


class Observer:
    """Watches one call: subclass, override what you need, pass as ``observer=``.

    Its methods run in the thread that does the work, and what they raise ends the call.
    """

    def phase(self, name: Phase) -> AbstractContextManager[object]:  # noqa: ARG002
        """Return a context that is entered and left around each phase.

        ``name`` is the phase; ``"load"`` comes only where the call loads the model.

        A phase comes again where two scorers take part: with ``prune``, ``"tokenize"`` and
        ``"infer"`` are entered for the estimates, and then for the model itself.
        """
        return nullcontext()

    def progress(self, done: int, total: int) -> None:
        """Receive progress, before the first batch and after each: pairs scored, of all pairs."""

    def planned(self, pairs: int, tokens: int) -> None:
        """Receive how many pairs, with how many tokens in all, are about to be queued.

        It comes again where two scorers take part, and with a deadline, where texts are read in
        several parts.
        """


def check_observer(given: Any) -> Observer | None:
    """Pass ``None`` and what has an observer's methods. Raises ``InvalidRequestError``."""
    if given is None or all(callable(getattr(given, x, None)) for x in ("phase", "progress")):
        return given  # type: ignore[no-any-return]
    raise InvalidRequestError(f"observer must be a resift.Observer or None, not {given!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TimingEvent:
    """One flat record for each finished call: seconds, counts, and what ran.

    Seconds as in ``Timings``, counts as in ``Counts``, summed over the call's queries.
    """

    model: str
    revision: str | None
    backend: str
    device: str | None
    precision: str | None
    scale: str
    status: Status
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

    @classmethod
    def of(cls, *rankings: Ranking) -> TimingEvent:
        """Make the event of a call that made these rankings (at least one)."""
        first = rankings[0]
        counts = {
            field.name: sum(getattr(ranking.counts, field.name) for ranking in rankings)
            for field in fields(Counts)
        }
        return cls(
            model=first.model,
            revision=first.revision,
            backend=first.backend,
            device=first.device,
            precision=first.precision,
            scale=first.scale,
            status=next(
                (each.status for each in rankings if each.status != "complete"), "complete"
            ),
            error=next((each.error for each in rankings if each.error), None),
            **asdict(first.timings),
            **counts,
        )

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, ready for ``json.dumps``."""
        return asdict(self)


class Stopwatch:
    """Times the phases of one call and shows them to its observer."""

    def __init__(self, observer: Observer, start: float | None = None) -> None:
        self._observer = observer
        # An observer needn't be an Observer, and this method came later.
        self.planned = getattr(observer, "planned", Observer().planned)
        self.start = time.perf_counter() if start is None else start
        self._seconds: dict[Phase | Literal["queue"], float] = {}

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Run one phase; its seconds are added whether or not it succeeds."""
        with self._observer.phase(name):
            start = time.perf_counter()
            try:
                yield
            finally:
                self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - start

    def add_queue(self, seconds: float) -> None:
        """Add the time that one scorer's passes waited."""
        self._seconds["queue"] = self._seconds.get("queue", 0.0) + seconds

    def timings(self) -> Timings:
        """The seconds of the phases so far, and the total since the start."""
        return Timings(**self._seconds, total=time.perf_counter() - self.start)
