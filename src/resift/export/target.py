"""The processors that an export is for, and how far this one can verify it."""

from __future__ import annotations

import logging
import platform
from dataclasses import dataclass

from resift import machine
from resift.errors import InvalidRequestError
from resift.precision import NARROW_INT8

_logger = logging.getLogger(__name__)

# AVX2 adds two products in 16 bits; VNNI and ARM's dot products add four in 32.
_INT8 = {
    "any": NARROW_INT8,
    "avx2": NARROW_INT8,
    "avx512-vnni": "int8",
    "arm64": "int8",
}
TARGETS = ("auto", *_INT8)


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of processor."""

    name: str
    int8: str
    """The precision that int8 weights for it are stored in."""

    @classmethod
    def find(cls, name: str) -> Target:
        """Find one of ``TARGETS``; ``"auto"`` is the one that this processor runs fastest.

        Raises ``InvalidRequestError`` for another name.
        """
        if name not in TARGETS:
            raise InvalidRequestError(f"target must be one of {', '.join(TARGETS)}, not {name!r}")
        if name == "auto":
            saturates = machine.processor().int8_saturates()
            return cls(name, NARROW_INT8 if saturates else "int8")
        return cls(name, _INT8[name])

    @property
    def narrow(self) -> bool:
        """Whether sums of two int8 products must fit 16 bits."""
        return self.int8 == NARROW_INT8

    def verified(self, precision: str) -> str:
        """Describe how weights in ``precision`` are verified on this machine, for a card."""
        here = platform.machine()
        if precision == "int8" and machine.processor().int8_saturates():
            _logger.warning(
                "int8 for target %r is verified with slower, exact instructions: this processor "
                "lacks the target's, and 'int8-narrow' (target 'any') is faster on it",
                self.name,
            )
            return f"with slower, exact instructions of {here}, not the target's"
        return f"with the int8 instructions of {here}" if "int8" in precision else f"on {here}"
