"""Ranking for clients: from a body to an answer, whatever brought the one and takes the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from resift.errors import InvalidRequestError
from resift.ranking import Ranking
from resift.reranker import Reranker
from resift.server.admission import Admission
from resift.server.answered import Answered
from resift.server.asked import Asked
from resift.server.models import Models
from resift.server.refusals import too_large
from resift.server.settings import Limits
from resift.server.tracing import Tracer
from resift.telemetry import Observer, Phase

_T = TypeVar("_T")

# Bytes of JSON that take a millisecond to read, about: more of them don't hold the event loop.
_SMALL = 100_000


@dataclass(frozen=True, slots=True)
class Service:
    """Ranks requests with a server's models, within its limits."""

    models: Models
    limits: Limits
    admission: Admission
    tracer: Tracer

    async def read(self, path: str, raw: bytes) -> Asked:
        """Decode and check a body. Raises ``RefusedError`` and ``WireError``."""

        def read() -> Asked:
            asked = Asked.read(path, raw)
            asked.check(self.limits)
            return asked

        return await _aside(read, len(raw))

    async def rank(
        self, asked: Asked, *, key: str | None, deadline_ms: float | None, request_id: str
    ) -> tuple[Answered, bytes]:
        """Rank a request; returns the answer and its body.

        Raises ``RefusedError``, ``WireError``, and what the engine raises. When it is cancelled,
        it stops after the current batch.
        """
        served = self.models.find(asked.request.model)
        requests, scores = asked.calls()
        with self.admission.work(asked.pairs, key):
            reranker = served.keeping_all if asked.needs_all else served.reranker
            rankings = await reranker.arank_many(
                requests,
                first_stage_scores=scores,
                observer=_Watcher(self.tracer, self.limits.tokens),
                **asked.options(deadline_ms),
            )
            cuts = await _aside(lambda: _cuts(reranker, asked, rankings), asked.characters)
            answered = Answered(asked, served, rankings, request_id, cuts)
            answered.check_whole()
            return answered, await _aside(answered.body, asked.characters)


def _cuts(
    reranker: Reranker, asked: Asked, rankings: Sequence[Ranking]
) -> list[dict[int, int | None]]:
    """The places where each query's documents were cut, by index, where that was asked for."""
    if not asked.request.return_cuts:
        return [{} for _ in rankings]
    request = asked.request
    found: list[dict[int, int | None]] = []
    for query, ranking in zip(request.queries, rankings, strict=True):
        at = [each.index for each in ranking if each.truncated_tokens]
        try:
            cuts = reranker.cuts(
                query.query,
                [query.documents[index] for index in at],
                max_length=request.max_length,
                max_document_tokens=request.max_document_tokens,
                long_documents=request.long_documents,  # type: ignore[arg-type]
            )
        except InvalidRequestError:
            # Models elsewhere, and several together, don't tell.
            found.append({})
        else:
            found.append(dict(zip(at, cuts, strict=True)))
    return found


class _Watcher(Observer):
    """Makes a span of each phase, and ends a call that has too many tokens."""

    def __init__(self, tracer: Tracer, most: int) -> None:
        self._tracer, self._most, self._tokens = tracer, most, 0

    def phase(self, name: Phase) -> AbstractContextManager[object]:
        return self._tracer.phase(name)

    def planned(self, pairs: int, tokens: int) -> None:  # noqa: ARG002
        self._tokens += tokens
        if self._tokens > self._most:
            raise too_large(
                f"{self._tokens} tokens of queries and documents are more than the {self._most} "
                "that are accepted for a request; send fewer or shorter documents"
            )


async def _aside(work: Callable[[], _T], size: int) -> _T:
    """Do the work: in a thread where it would hold the event loop."""
    return work() if size < _SMALL else await asyncio.to_thread(work)
