"""The systems of one shape: opened when they are needed, and closed together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from accelerator import Used
from gpu_loads import Load, counter, make_load
from reasons import UnavailableError
from rerankers import RESIFT, Opening, Phases, Score, Setting, open_system
from rounds import reason
from shapes import Shape

_T = TypeVar("_T")
_REFERENCES = 4
"""Pairs whose scores are held against float32 on the CPU."""


class Device(Protocol):
    """What a bench needs of an ``Accelerator``."""

    name: str
    is_gpu: bool

    def synchronize(self) -> None:
        """Wait for the device."""

    def allocated(self) -> int:
        """Bytes that tensors have."""

    def watched(self, run: Callable[[], _T]) -> tuple[_T, Used | None]:
        """Run something, and tell the memory that it used."""

    def clear(self) -> None:
        """Give back what nobody uses."""


Open = Callable[[Opening, Shape, Path, str], Score]


@dataclass
class _Opened:
    score: Score | None
    weights: int = 0
    """Bytes on the device."""
    reason: str = ""
    """Why it can't be used."""


class Bench:
    """The systems of one shape that are loaded."""

    def __init__(
        self,
        name: str,
        shape: Shape,
        folder: Path,
        device: Device,
        clock: Callable[[], float],
        open_one: Open = open_system,
    ) -> None:
        self.name, self.shape, self.device, self.clock = name, shape, device, clock
        self._folder, self._open = folder, open_one
        self._opened: dict[Opening, _Opened] = {}
        self._count = counter(shape, folder)
        self._loads: dict[tuple[str, int, int], Load] = {}
        self._reference: list[float] = []

    def load(self, kind: str, pairs: int, seed: int) -> Load:
        """A load for this shape's tokenizer."""
        key = kind, pairs, seed
        if key not in self._loads:
            self._loads[key] = make_load(self._count, *key)
        return self._loads[key]

    @property
    def around(self) -> int:
        """Tokens that the model puts around a query and a document."""
        return self._count("", "")

    def weights(self, opening: Opening) -> int:
        """Bytes of a system's weights on the device; 0 on a CPU."""
        return self._opened[opening].weights

    def score(self, setting: Setting, load: Load) -> Sequence[float]:
        """Score a load. Raises ``UnavailableError`` for what can't be opened."""
        scores = self._get(setting.opening)(load, setting.batch)
        self.device.synchronize()
        return scores

    def phases(self, setting: Setting, load: Load) -> dict[str, float] | None:
        """Seconds of each phase of one call; ``None`` for systems that don't tell them."""
        system: Any = self._get(setting.opening)
        if not hasattr(system, "phases"):
            return None
        system.phases = Phases(self.clock)
        try:
            self.score(setting, load)
            return dict(system.phases.seconds)
        finally:
            system.phases = None

    def disagreement(self, setting: Setting) -> tuple[float, float]:
        """The largest difference of its scores to those of float32 on the CPU, over a few pairs.

        And how far those are from each other.
        """
        load = self.load("mixed", _REFERENCES, 0)
        if not self._reference:
            exact = self._open(Opening(RESIFT, "fp32"), self.shape, self._folder, "cpu")
            self._reference = [float(each) for each in exact(load, None)]
        found = self.score(setting, load)
        off = max(abs(a - b) for a, b in zip(found, self._reference, strict=True))
        return off, max(self._reference) - min(self._reference)

    def _get(self, opening: Opening) -> Score:
        if opening not in self._opened:
            self._opened[opening] = self._try(opening)
        found = self._opened[opening]
        if found.score is None:
            raise UnavailableError(found.reason)
        return found.score

    def _try(self, opening: Opening) -> _Opened:
        before = self.device.allocated()
        try:
            if opening.max_batch_tokens:
                whole: Any = self._get(replace(opening, max_batch_tokens=None))
                return _Opened(whole.with_passes(opening.max_batch_tokens))
            score = self._open(opening, self.shape, self._folder, self.device.name)
            # Some move their weights to the device when they are called.
            score(self.load("256", 1, 0), None)
            self.device.synchronize()
            return _Opened(score, self.device.allocated() - before)
        except Exception as error:
            found = reason(error)
        # The exception is gone by now, and with it what its frames held.
        self.device.clear()
        return _Opened(None, reason=found)

    def close(self) -> None:
        """Let all systems go."""
        self._opened.clear()
        self.device.clear()
