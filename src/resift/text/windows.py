"""Documents that are too long: cut off, or spread over windows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from resift.text.batch import Ids

LongDocuments = Literal["truncate", "windows"]

WINDOW_OVERLAP = 0.25
"""Share of a window that the next one repeats: any passage up to that long is whole in one."""


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """One text as token ids, without special tokens, as the model will see it."""

    windows: tuple[Ids, ...]
    """One, or several that overlap, ``int32 [tokens]`` each."""
    truncated_tokens: int
    """Number of tokens that are in no window."""


def cut_text(
    ids: Ids, room: int, long_documents: LongDocuments, most: int | None = None
) -> TokenizedText:
    """Cut ``ids`` (``int32 [tokens]``) to the first ``most``, and what is left to fit ``room``."""
    kept = ids if most is None else ids[:most]
    cut = cut_windows if long_documents == "windows" else cut_tail
    text = cut(kept, room)
    return replace(text, truncated_tokens=text.truncated_tokens + len(ids) - len(kept))


def cut_tail(ids: Ids, room: int) -> TokenizedText:
    """Keep the first ``room`` tokens of ``ids`` (``int32 [tokens]``)."""
    # A copy, so that the rest of a long document is freed.
    kept = ids[:room].copy() if len(ids) > room else ids
    return TokenizedText(windows=(kept,), truncated_tokens=len(ids) - len(kept))


def cut_windows(ids: Ids, room: int) -> TokenizedText:
    """Keep all of ``ids`` (``int32 [tokens]``), in windows of at most ``room`` tokens."""
    return TokenizedText(
        windows=tuple(ids[start : start + room] for start in window_starts(len(ids), room)),
        truncated_tokens=0,
    )


def window_starts(length: int, size: int) -> list[int]:
    """The starts of windows of ``size`` tokens that together cover ``length`` tokens.

    Each window overlaps the one before by at least ``WINDOW_OVERLAP`` of ``size``. The last one
    ends with the text, so that it is full too.
    """
    if length <= size:
        return [0]
    stride = max(1, round(size * (1 - WINDOW_OVERLAP)))
    return [*range(0, length - size, stride), length - size]
