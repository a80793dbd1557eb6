"""Inputs of ONNX graphs, and checks shared by the graph backends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resift.errors import BackendUnavailableError, UnsupportedModelError
from resift.text.batch import Batch


def check_inputs(path: Path, names: Sequence[str]) -> None:
    """Pass input names that are arrays of ``Batch``; ``path`` is the graph's, for the message.

    Raises ``UnsupportedModelError`` for others.
    """
    unknown = set(names) - set(Batch.__dataclass_fields__)
    if unknown:
        raise UnsupportedModelError(
            f"{path} takes the inputs {list(names)}; resift gives "
            f"{list(Batch.__dataclass_fields__)} and nothing for {sorted(unknown)}"
        )


def feed(batch: Batch, names: Sequence[str]) -> dict[str, Any]:
    """The arrays of ``batch`` that a graph takes, by name."""
    return {name: getattr(batch, name) for name in names}


def check_cpu(backend: str, device: str | None) -> None:
    """Pass ``None`` and ``"cpu"``. Raises ``BackendUnavailableError`` for any other device."""
    if device not in (None, "cpu"):
        raise BackendUnavailableError(
            f"backend {backend!r} runs on device 'cpu', not {device!r}; leave device out"
        )


def refuse_vocabulary(path: Path, vocabulary_ids: Sequence[int]) -> None:
    """Pass an empty ``vocabulary_ids``, for backends that run classification heads alone.

    Raises ``UnsupportedModelError`` for a model at ``path`` whose outputs are logits of tokens.
    """
    if vocabulary_ids:
        raise UnsupportedModelError(
            f"{path} is of a kind with a language-modelling head, which this backend doesn't run; "
            "expected a graph with a classification head. Use the backend 'torch' and the model's "
            "safetensors"
        )
