"""Answers of a server, part by part, put together for each request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from resift.protocols import WireResult
from resift.protocols.reading import Fields
from resift.request import Request
from resift.scales import LOGIT, ORDER
from resift.scoring.remote.answers import Values, finite, in_place, scores_of
from resift.scoring.remote.listwise import Order
from resift.scoring.remote.splitting import Part
from resift.scoring.scorer import Scored, Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """The answer for one part of a request."""

    part: Part
    values: Values
    """``[texts of the part]``; NaN where a text was left out, or wasn't scored in time."""
    late: frozenset[int] = frozenset()
    """Places in the part of texts that the server didn't score in time."""
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


def ranked_piece(part: Part, result: WireResult, source: Source, *, pruned: bool) -> Piece:
    """Read an answer of a resift server, which says more. Raises ``WireError``.

    Only with ``pruned`` may it leave documents out.
    """
    said = Fields(dict(result.extra), "the ranking")
    scale, counts = said.text("scale") or LOGIT, said.object("counts")
    found = in_place(result, len(part), all_of_them=not pruned)
    scored = counts.natural("scored")
    values = np.full(len(part), np.nan)
    truncated, late = [0] * len(part), set()
    for rank, (index, each) in enumerate(found.items()):
        value = {LOGIT: each.logit, ORDER: -float(rank)}.get(scale, each.score)
        # The documents without a score come last.
        if rank >= (len(found) if scored is None else scored):
            late.add(index)
        else:
            values[index] = finite(value, index)
        truncated[index] = Fields(dict(each.extra)).natural("truncated_tokens") or 0
    return Piece(
        part=part,
        values=values,
        late=frozenset(late),
        pairs=[int(not np.isnan(value)) for value in values],
        truncated_tokens=truncated,
        source=replace(
            source,
            model=result.model or source.model,
            revision=said.text("revision"),
            device=said.text("device") or source.device,
            precision=said.text("precision"),
            status="fallback" if said.text("status") == "fallback" else "complete",
            scale=scale,
        ),
        tokens=counts.natural("tokens") or 0,
        padded_tokens=counts.natural("padded_tokens") or 0,
        query_truncated=bool(said.flag("query_truncated")),
        repairs=counts.natural("repairs") or 0,
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
    requests: Sequence[Request],
    pieces: Iterable[Piece],
    source: Source,
    late: Iterable[Part],
) -> list[Scored]:
    """One answer for each request; the parts in ``late`` weren't answered in time."""
    answers: list[list[Piece]] = [[] for _ in requests]
    for each in pieces:
        answers[each.part.request].append(each)
    missing: list[list[Part]] = [[] for _ in requests]
    for part in late:
        missing[part.request].append(part)
    joined = zip(requests, answers, missing, strict=True)
    return [_joined(len(request.texts), found, source, gone) for request, found, gone in joined]


def _joined(count: int, pieces: Sequence[Piece], source: Source, missing: Iterable[Part]) -> Scored:
    values = np.full(count, np.nan)
    pairs, truncated = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    late = np.zeros(count, dtype=np.bool_)
    for part in missing:
        late[part.start : part.stop] = True
    for each in pieces:
        place = slice(each.part.start, each.part.stop)
        values[place], pairs[place] = each.values, each.pairs
        truncated[place] = each.truncated_tokens
        late[[each.part.start + at for at in each.late]] = True
    source = pieces[0].source if pieces else source
    fallback = any(each.source.status == "fallback" for each in pieces)
    return Scored(
        # A server's own scores keep all their digits: near 1, few are left to tell them apart.
        logits=values.astype(np.float32) if source.scale == LOGIT else values,
        scored=~np.isnan(values),
        pairs=pairs,
        truncated_tokens=truncated,
        source=replace(source, status="fallback") if fallback else source,
        query_truncated=any(each.query_truncated for each in pieces),
        tokens=sum(each.tokens for each in pieces),
        padded_tokens=sum(each.padded_tokens for each in pieces),
        late=late if late.any() else None,
        repairs=sum(each.repairs for each in pieces),
    )
