"""The part of Triton's ``triton_python_backend_utils`` that the model uses, as 24.10 has it."""

from __future__ import annotations

import weakref
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray


class TritonError(Exception):
    UNKNOWN, INTERNAL, NOT_FOUND, INVALID_ARG, UNAVAILABLE, UNSUPPORTED, ALREADY_EXISTS = range(7)
    CANCELLED = 7

    def __init__(self, message: str, code: int = INTERNAL) -> None:
        self._message, self._code = message, code

    def message(self) -> str:
        return self._message

    def code(self) -> int:
        return self._code


class Tensor:
    def __init__(self, name: str, array: NDArray[Any]) -> None:
        self._name, self._array = name, array

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> NDArray[Any]:
        return self._array


class InferenceResponse:
    def __init__(
        self, output_tensors: list[Tensor] | None = None, error: TritonError | None = None
    ) -> None:
        self._tensors, self._error = output_tensors or [], error

    def output_tensors(self) -> list[Tensor]:
        return self._tensors

    def has_error(self) -> bool:
        return self._error is not None

    def error(self) -> TritonError | None:
        return self._error


class InferenceRequest:
    """A request as ``execute`` gets it; ``cancelled`` is how often it says no first."""

    def __init__(
        self,
        query: object,
        texts: object,
        *,
        outputs: tuple[str, ...] = ("scores", "logits"),
        timeout: int = 0,
        cancelled: float = float("inf"),
    ) -> None:
        self._tensors = {"query": _bytes(query), "texts": _bytes(texts)}
        self._outputs, self._timeout, self._cancelled = outputs, timeout, cancelled

    def requested_output_names(self) -> list[str]:
        return list(self._outputs)

    def timeout(self) -> int:
        return self._timeout

    def is_cancelled(self) -> bool:
        self._cancelled -= 1
        return self._cancelled < 0


def get_input_tensor_by_name(request: InferenceRequest, name: str) -> Tensor | None:
    array = request._tensors.get(name)
    return None if array is None else Tensor(name, array)


class MetricFamily:
    COUNTER, GAUGE, HISTOGRAM = range(3)

    def __init__(self, name: str, description: str, kind: int) -> None:
        self.name, self.description, self.kind = name, description, kind

    def Metric(self, labels: dict[str, str]) -> Metric:  # noqa: N802
        return Metric(self, labels)


class Metric:
    def __init__(self, family: MetricFamily, labels: dict[str, str]) -> None:
        self._family, self.labels, self._value = weakref.ref(family), labels, 0.0

    def increment(self, value: float) -> None:
        if self._family() is None:
            raise RuntimeError("the corresponding 'MetricFamily' has been deleted")
        self._value += value

    def value(self) -> float:
        return self._value


class Logger:
    said: list[str] = []  # noqa: RUF012

    @classmethod
    def log_error(cls, message: str) -> None:
        cls.said.append(message)


def module() -> ModuleType:
    """A module of these names."""
    made = ModuleType("triton_python_backend_utils")
    for each in (TritonError, Tensor, InferenceResponse, MetricFamily, Logger):
        setattr(made, each.__name__, each)
    made.get_input_tensor_by_name = get_input_tensor_by_name  # type: ignore[attr-defined]
    return made


def _bytes(given: Any) -> NDArray[Any]:
    """Rows of ``str`` or ``bytes`` as Triton gives them: an array of ``bytes`` objects."""
    rows: list[Any] = given if isinstance(given, list) else [given]
    rows = rows if rows and isinstance(rows[0], list) else [rows]
    encoded = [[each.encode() if isinstance(each, str) else each for each in row] for row in rows]
    return np.array(encoded, dtype=object).reshape(len(rows), len(rows[0]))
