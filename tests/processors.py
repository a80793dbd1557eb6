"""Processors that a test can say it runs on, whatever it does run on.

They decide which weights are taken, as the real ones do. What they lack isn't taken from the real
one, and what they have isn't given to it: the tiny models compute alike in every precision.
"""

from __future__ import annotations

from collections.abc import Callable

from resift import machine
from resift.machine import Processor

NO_INT8 = "this processor gets int8 products wrong: it lacks the instructions"
NO_BF16 = "this processor has no bfloat16"


def _lacking(**reasons: str) -> Callable[[str, str], str | None]:
    """A function of a backend and a precision, with the reason why it can't be run."""
    graphs = ("onnx", "openvino")
    return lambda backend, precision: (
        reasons.get(precision.removesuffix("-narrow")) if backend in graphs else None
    )


PROCESSORS = {
    "avx512": Processor(
        frozenset({"AVX2", "AVX512F", "AVX512VNNI", "AVX512BF16"}), _lacking(), lambda: False
    ),
    "avx2": Processor(frozenset({"AVX2"}), _lacking(bf16=NO_BF16), lambda: True),
    "arm64": Processor(frozenset({"ASIMD", "ASIMDDP"}), _lacking(bf16=NO_BF16), lambda: False),
    # What numpy says nothing of, and ONNX Runtime has no right products for.
    "unknown": Processor(frozenset(), _lacking(int8=NO_INT8, bf16=NO_BF16), lambda: True),
}


def be(name: str) -> None:
    """Make this process run on one of ``PROCESSORS``, for good."""
    machine.processor = lambda: PROCESSORS[name]  # type: ignore[assignment]
