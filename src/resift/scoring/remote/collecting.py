"""Answers of a server, part by part, put together for each request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from resift.protocols import WireResult
from resift.protocols.reading import Fields
from resift.ranking import Status
from resift.request import Request
from resift.scoring.remote.answers import Values, finite, in_place, scores_of
from resift.scoring.remote.listwise import Order
from resift.scoring.remote.splitting import Part
from resift.scoring.scorer import Scored, Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """The answer for one part of a request."""

    part: Part
    values: Values
    """``[texts of the part]``; NaN where a text was left out."""
    pairs: list[int]
    truncated_tokens: list[int]
    source: Source
    tokens: int = 0
    padded_tokens: int = 0
    query_truncated: bool = False
    repairs: int = 0


def piece(part: Part, result: WireResult, source: Source) -> Piece:
    """Read an answer of one score for each text. Raises ``WireError``."""
    count = len(part)
    return Piece(
        part=part,
        values=scores_of(result, count),
        pairs=[1] * count,
        truncated_tokens=[0] * count,
        source=replace(source, model=result.model or source.model),
        tokens=result.tokens or 0,
        padded_tokens=result.tokens or 0,
    )


def ranked_piece(part: Part, result: WireResult, source: Source) -> Piece:
    """Read an answer of a resift server, which says more. Raises ``WireError``.

    Documents that it pruned, or didn't come to in time, are left out.
    """
    said = Fields(dict(result.extra), "the ranking")
    scale = said.text("scale") or "logit"
    found = in_place(result, len(part), all_of_them=False)
    values = np.full(len(part), np.nan)
    truncated = [0] * len(part)
    for index, each in found.items():
        value = each.logit if scale == "logit" else each.score
        if value is not None or each.score is not None:
            values[index] = finite(value, index)
        truncated[index] = Fields(dict(each.extra)).natural("truncated_tokens") or 0
    if scale == "order":
        for rank, each in enumerate(result.scores):
            values[each.index] = -float(rank)
    counts = said.object("counts")
    return Piece(
        part=part,
        values=values,
        pairs=[int(not np.isnan(value)) for value in values],
        truncated_tokens=truncated,
        source=replace(
            source,
            model=result.model or source.model,
            revision=said.text("revision"),
            device=said.text("device") or source.device,
            precision=said.text("precision"),
            status=_status(said.text("status")),
            scale=scale,
        ),
        tokens=counts.natural("tokens") or 0,
        padded_tokens=counts.natural("padded_tokens") or 0,
        query_truncated=bool(said.flag("query_truncated")),
    )


def ordered_piece(part: Part, order: Order, cut: Sequence[int], source: Source) -> Piece:
    """Read an order as falling values. ``cut``: words of each text that weren't sent."""
    values = np.empty(len(part))
    values[order.places] = -np.arange(len(part), dtype=np.float64)
    return Piece(
        part=part,
        values=values,
        pairs=order.seen,
        truncated_tokens=list(cut),
        source=source,
        tokens=order.tokens,
        padded_tokens=order.tokens,
        repairs=order.repairs,
    )


def collect(
    requests: Sequence[Request], pieces: Iterable[Piece], source: Source, missing: set[int]
) -> list[Scored]:
    """One answer for each request; those in ``missing`` have parts that weren't done in time."""
    by_request: dict[int, list[Piece]] = {}
    for each in pieces:
        by_request.setdefault(each.part.request, []).append(each)
    answers = []
    for place, request in enumerate(requests):
        found = by_request.get(place, [])
        whole = _joined(request, found, source)
        if place in missing:
            whole = replace(whole, source=replace(whole.source, status="partial"))
        answers.append(whole)
    return answers


def _joined(request: Request, pieces: Sequence[Piece], source: Source) -> Scored:
    count = len(request.texts)
    values = np.full(count, np.nan)
    pairs, truncated = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    for each in pieces:
        place = slice(each.part.start, each.part.stop)
        values[place], pairs[place] = each.values, each.pairs
        truncated[place] = each.truncated_tokens
    source = pieces[0].source if pieces else source
    worst = [each.source.status for each in pieces if each.source.status != "complete"]
    return Scored(
        # A server's own scores keep all their digits, as near 1 few are left to tell them apart.
        logits=values.astype(np.float32) if source.scale == "logit" else values,
        scored=~np.isnan(values),
        pairs=pairs,
        truncated_tokens=truncated,
        source=replace(source, status=worst[0]) if worst else source,
        query_truncated=any(each.query_truncated for each in pieces),
        tokens=sum(each.tokens for each in pieces),
        padded_tokens=sum(each.padded_tokens for each in pieces),
        repairs=sum(each.repairs for each in pieces),
    )


def _status(said: str | None) -> Status:
    known: Mapping[str, Any] = {"partial": "partial", "fallback": "fallback"}
    status: Status = known.get(said or "", "complete")
    return status
