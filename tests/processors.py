"""Processors that a test can say it runs on, whatever it does run on.

They decide which weights are taken, as the real ones do. What they lack isn't taken from the real
one, and what they have isn't given to it: the tiny models compute alike in every precision.
"""

from __future__ import annotations

from resift import machine
from resift.machine import Processor

NO_INT8 = "this processor gets int8 products wrong: it lacks the instructions"
NO_BF16 = "this processor has no bfloat16"
_WITHOUT = {("onnx", "int8"): NO_INT8, ("openvino", "bf16"): NO_BF16}


def _lacks_nothing(backend: str, precision: str) -> str | None:
    return None


def _lacks_both(backend: str, precision: str) -> str | None:
    return _WITHOUT.get((backend, precision))


def _lacks_bf16(backend: str, precision: str) -> str | None:
    return NO_BF16 if precision == "bf16" else None


PROCESSORS = {
    "avx512": Processor(frozenset({"AVX2", "AVX512F", "AVX512VNNI", "AVX512BF16"}), _lacks_nothing),
    "avx2": Processor(frozenset({"AVX2"}), _lacks_both),
    "arm64": Processor(frozenset({"ASIMD", "ASIMDDP"}), _lacks_bf16),
    # What numpy says nothing of.
    "unknown": Processor(frozenset(), _lacks_both),
}


def be(name: str) -> None:
    """Make this process run on one of ``PROCESSORS``, for good."""
    machine.processor = lambda: PROCESSORS[name]  # type: ignore[assignment]
