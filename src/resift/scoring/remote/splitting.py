"""Requests cut to what a server takes at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from resift.protocols import Limits, dumps
from resift.request import Request


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the texts of one request."""

    request: int
    """The request's position in the call."""
    start: int
    stop: int
    """The texts from ``start`` to below ``stop``."""

    def __len__(self) -> int:
        return self.stop - self.start


def split(requests: Sequence[Request], limits: Limits) -> list[Part]:
    """Cut each request into parts within the limits; a text above them is a part by itself."""
    return [
        Part(place, start, stop)
        for place, request in enumerate(requests)
        for start, stop in _ranges(request, limits)
    ]


def pack(parts: Sequence[Part], limits: Limits, *, together: bool) -> list[list[Part]]:
    """Put parts that share a request to the server together, where it takes several queries."""
    packs: list[list[Part]] = []
    for part in parts:
        last = packs[-1] if packs else []
        size = sum(map(len, last)) + len(part)
        if together and last and size <= (limits.documents or size):
            last.append(part)
        else:
            packs.append([part])
    return packs


def _ranges(request: Request, limits: Limits) -> Iterator[tuple[int, int]]:
    if limits.documents is None and limits.body is None:
        if request.texts:
            yield 0, len(request.texts)
        return
    most = limits.documents or len(request.texts)
    room = None if limits.body is None else limits.body - len(dumps(request.query))
    start, used = 0, 0
    for place, text in enumerate(request.texts):
        size = 0 if room is None else len(dumps(text)) + 1
        full = room is not None and used + size > room
        if place > start and (place - start == most or full):
            yield start, place
            start, used = place, 0
        used += size
    if request.texts:
        yield start, len(request.texts)
