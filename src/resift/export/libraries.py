"""The packages of the extra ``export``."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from resift.errors import BackendUnavailableError


@dataclass(frozen=True, slots=True)
class Libraries:
    """The packages of the extra ``export``, which have no types to rely on."""

    torch: Any
    transformers: Any
    onnx: Any

    @classmethod
    def load(cls) -> Libraries:
        """Import the packages. Raises ``BackendUnavailableError`` if one is missing."""
        try:
            return cls(*(import_module(name) for name in ("torch", "transformers", "onnx")))
        except ImportError as error:
            raise BackendUnavailableError(
                f"resift export needs torch, transformers and onnx: {error}; "
                "pip install resift[export]"
            ) from error
