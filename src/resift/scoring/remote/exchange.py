"""The exchange of one call with a server: what is asked, and how the answers are read."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from resift.errors import InvalidRequestError, RemoteError
from resift.options import RankOptions
from resift.protocols import (
    Limits,
    WireError,
    WireQuery,
    WireRequest,
    WireResponse,
    WireResult,
)
from resift.request import Request
from resift.scales import LOGIT
from resift.scoring.remote.asking import Job, Patience
from resift.scoring.remote.collecting import Piece, ordered_piece, piece, ranked_piece
from resift.scoring.remote.listwise import pairs_in, slide
from resift.scoring.remote.server import Server
from resift.scoring.remote.settings import Settings
from resift.scoring.remote.splitting import Part, pack, split
from resift.scoring.scorer import Source

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """All that the requests of one call have in common."""

    server: Server
    settings: Settings
    limits: Limits
    options: RankOptions
    source: Source
    requests: Sequence[Request]

    def plan(self) -> list[list[Part]]:
        """The parts that go together into each request to the server.

        Raises ``InvalidRequestError`` for a listwise model that would have to be split.
        """
        shape, model = self.settings.shape, self.settings.model
        if self.settings.gives_an_order:
            whole = split(self.requests, Limits())
            return [[part] for part in whole]
        parts = split(self.requests, self.limits)
        if shape.is_listwise(model):
            for part in parts:
                count = len(self.requests[part.request].texts)
                if len(part) < count:
                    raise InvalidRequestError(
                        f"{model} scores a document by the others beside it, so {count} documents "
                        f"can't be split to fit {self.limits}: give fewer or shorter ones, or "
                        "larger limits= if the server takes more"
                    )
        return pack(parts, self.limits, together=shape.packs)

    def pairs(self, part: Part) -> int:
        """The number of pairs of a query and a document that a part takes."""
        if self.settings.gives_an_order:
            return pairs_in(len(part), self.settings.window, self.settings.step)
        return len(part)

    def job(self, parts: Sequence[Part]) -> Job[list[Piece]]:
        """The work for parts that go together."""
        return partial(self._order if self.settings.gives_an_order else self._score, parts)

    def body(self, queries: tuple[WireQuery, ...], left: float = math.inf) -> Any:
        """A request's body; ``left`` are the seconds that the server has.

        Raises ``InvalidRequestError`` for an option that the protocol has no words for.
        """
        settings, options = self.settings, self.options
        speaks = settings.shape.speaks
        prunes = options.prune == "auto" and "prune" in speaks
        logits = self.source.scale == LOGIT and "normalization" in speaks
        asked = WireRequest(
            queries=queries,
            model=settings.model if "model" in speaks else None,
            normalization="none" if logits else None,
            # As models on this machine do: no error for one document that is too long.
            truncate=True if "truncate" in speaks else None,
            max_length=options.max_length,
            max_document_tokens=options.max_document_tokens,
            long_documents="windows" if options.long_documents == "windows" else None,
            # A server that prunes has to know for how many. Otherwise all scores are wanted.
            prune="auto" if prunes else None,
            top_n=options.top_n if prunes else None,
            deadline_ms=self._deadline_ms(left) if "deadline_ms" in speaks else None,
            extra=settings.extra,
        )
        try:
            return settings.shape.encode_request(asked)
        except WireError as error:
            problem = f"{error}; the model is behind {self.source.device}"
        raise InvalidRequestError(problem)

    def _score(self, parts: Sequence[Part], patience: Patience) -> list[Piece]:
        queries = tuple(
            WireQuery(
                query=self.requests[part.request].query,
                documents=self.requests[part.request].texts[part.start : part.stop],
            )
            for part in parts
        )
        response = self._ask(queries, patience)
        pruned = self.options.prune == "auto" and self.options.top_n is not None
        ranked = partial(ranked_piece, pruned=pruned)
        read = ranked if self.settings.shape.tells_all else piece
        pairs = zip(parts, response.results, strict=True)
        try:
            pieces = [read(part, result, self.source) for part, result in pairs]
        except WireError as error:
            raise self._unreliable(error) from None
        patience.tell(sum(map(len, parts)))
        return pieces

    def _order(self, parts: Sequence[Part], patience: Patience) -> list[Piece]:
        (part,) = parts
        request = self.requests[part.request]
        texts, cut = zip(*(_cut(text, self.limits.words) for text in request.texts), strict=True)

        def ask(window: list[int]) -> WireResult:
            query = WireQuery(query=request.query, documents=tuple(texts[i] for i in window))
            result = self._ask((query,), patience).result
            patience.tell(len(window))
            return result

        order = slide(len(texts), self.settings.window, self.settings.step, ask)
        if order.repairs:
            _logger.info("%s: %d repairs of its order", self.source.model, order.repairs)
        return [ordered_piece(part, order, cut, self.source)]

    def _ask(self, queries: tuple[WireQuery, ...], patience: Patience) -> WireResponse:
        texts = [text or "" for each in queries for text in (each.query, *each.documents)]
        body = self.body(queries, patience.remaining())
        said = self.server.rank(body, texts, patience)
        try:
            return self.settings.shape.decode_response(said, WireRequest(queries=queries))
        except WireError as error:
            raise self._unreliable(error) from None

    def _deadline_ms(self, left: float) -> float | None:
        """The milliseconds that the server may take of ``left`` seconds.

        An answer has to arrive in time if it can be a part. Otherwise nobody waits for it then.
        """
        if math.isinf(left):
            return None
        share = 900 * left - 10 if self.settings.shape.tells_all else 1000 * left
        return max(share, 1.0)

    def _unreliable(self, error: WireError) -> RemoteError:
        return self.server.error(f"gave an answer that can't be relied on: {error}", status=200)


def _cut(text: str, words: int | None) -> tuple[str, int]:
    """The first ``words`` of a text, and how many were cut."""
    found = text.split()
    if words is None or len(found) <= words:
        return text, 0
    return " ".join(found[:words]), len(found) - words
