"""What a case is done to, and what came of it."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from adapters import ADAPTERS, Adapter
from meter import Meter

Word = Literal["right", "wrong", "crashed", "hung", "killed", "left out"]
Say = Callable[[dict[str, Any]], None]
# Of scores that one library computes twice from the same input.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Outcome:
    """What a system did in a case."""

    word: Word
    note: str
    figures: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The same, for JSON."""
        return asdict(self)


def right(note: str, **figures: float) -> Outcome:
    """It kept the rule."""
    return Outcome("right", note, figures)


def wrong(note: str, **figures: float) -> Outcome:
    """It didn't."""
    return Outcome("wrong", note, figures)


@dataclass(frozen=True)
class Subject:
    """A library and its model, not loaded yet."""

    adapter: str
    model: Path
    options: Mapping[str, str]
    settings: Mapping[str, int]
    say: Say
    """Writes a line to the driver before the case has ended."""

    @classmethod
    def of(cls, words: Sequence[str], say: Say) -> Subject:
        """From the words of a command: adapter, model, options and settings."""
        adapter, model, options, settings = words
        return cls(adapter, Path(model), json.loads(options), json.loads(settings), say)

    def load(self) -> Loaded:
        """The library with its model loaded, and with as many threads as it takes by itself."""
        return Loaded(ADAPTERS[self.adapter](self.model, 0, self.options, Meter()))


class Loaded:
    """A library whose model is loaded."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._arank: Callable[..., Any] | None = getattr(adapter, "arank", None)

    @property
    def is_async(self) -> bool:
        """Whether it has an asynchronous call of its own."""
        return self._arank is not None

    def scores(self, query: str, documents: Sequence[Any]) -> list[float]:
        """Its scores in the order of the documents."""
        return self._adapter.scores(self._adapter.rank(query, documents))

    async def ascores(self, query: str, documents: Sequence[Any]) -> list[float]:
        """The same by its own asynchronous call, or else in asyncio's default executor."""
        if self._arank is None:
            return await asyncio.to_thread(self.scores, query, documents)
        return self._adapter.scores(await self._arank(query, documents))


def same(scores: Sequence[float], expected: Sequence[float]) -> bool:
    """Whether both are the same scores, but for rounding."""
    return len(scores) == len(expected) and all(
        abs(a - b) <= TOLERANCE for a, b in zip(scores, expected, strict=True)
    )


def finite(scores: Sequence[float]) -> bool:
    """Whether all are numbers."""
    return all(math.isfinite(score) for score in scores)


def said(error: BaseException) -> str:
    """An error's type and first line, shortened."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}{'…' if len(text) > 160 else ''}"
