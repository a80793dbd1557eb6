"""Documents that don't fit: their tails cut off, or spread over windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from resift.text.batch import Ids

LongDocuments = Literal["truncate", "windows"]

WINDOW_OVERLAP = 0.25
"""Share of a window that the next repeats: a passage up to that long is whole in one of them."""


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """One text in token ids, without special tokens, as the model will see it."""

    windows: tuple[Ids, ...]
    """One, or several that overlap."""
    truncated_tokens: int


def cut_tail(ids: Ids, room: int) -> TokenizedText:
    """Keep the first ``room`` tokens."""
    # A copy, so that the rest of a long document is freed.
    kept = ids[:room].copy() if len(ids) > room else ids
    return TokenizedText(windows=(kept,), truncated_tokens=len(ids) - len(kept))


def cut_windows(ids: Ids, room: int) -> TokenizedText:
    """Keep all, in windows of at most ``room`` tokens."""
    return TokenizedText(
        windows=tuple(ids[start : start + room] for start in window_starts(len(ids), room)),
        truncated_tokens=0,
    )


def window_starts(length: int, size: int) -> list[int]:
    """Where windows of ``size`` tokens begin, so that together they cover ``length`` tokens.

    Each overlaps the one before by ``WINDOW_OVERLAP`` of ``size`` or more; the last is moved back
    to end with the text, so that it is full too.
    """
    if length <= size:
        return [0]
    stride = max(1, round(size * (1 - WINDOW_OVERLAP)))
    return [*range(0, length - size, stride), length - size]
