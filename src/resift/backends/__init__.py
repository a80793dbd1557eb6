"""How token ids become the model's outputs: one file and one table line for each backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from resift.errors import BackendUnavailableError, InvalidRequestError
from resift.tokenization import Batch


class Backend(Protocol):
    """A loaded model on a device. It knows nothing of queries or ranking.

    Made from the model's file. ``precision`` is one of those that its ``BackendEntry`` runs, and
    ``threads`` how many threads of the CPU it may use. Raises ``BackendUnavailableError`` for a
    device that isn't there, ``UnsupportedModelError`` naming a file that can't be run.
    """

    workers: int
    """How many threads may be in ``forward`` at a time; more gain nothing."""
    max_batch_tokens: int
    """Padded tokens of one forward pass, where the caller says nothing."""
    length_multiple: int
    """Lengths that aren't a multiple of this are padded to one."""

    def __init__(self, path: Path, *, device: str | None, precision: str, threads: int) -> None: ...

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        """``[batch, length]`` token ids to the model's outputs, ``float32 [batch, labels]``."""


class BackendEntry(NamedTuple):
    """Where a backend is, what it needs, and which weights it runs."""

    module: str
    cls: str
    requires: str
    """The module that has to be importable."""
    install: str
    """What ``pip install`` gets it."""
    format: str
    """The kind of file that it reads."""
    runs: Mapping[str, Sequence[str]]
    """For each precision, the stored ones that it is computed from, the preferred one first."""


# "auto" tries them in this order: the faster first, for weights and a precision that both run
# (benchmarks/NOTES.md).
BACKENDS: dict[str, BackendEntry] = {
    "onnx": BackendEntry(
        "resift.backends.onnx",
        "OnnxBackend",
        requires="onnxruntime",
        install="onnxruntime",
        format="onnx",
        runs={each: [each] for each in ("fp32", "int8", "int8-dynamic", "fp16")},
    ),
    "openvino": BackendEntry(
        "resift.backends.openvino",
        "OpenVinoBackend",
        requires="openvino",
        install="resift[openvino]",
        format="onnx",
        runs={"fp32": ["fp32"], "bf16": ["fp32"]},
    ),
}


def installed_backends(name: str) -> list[str]:
    """The backends that ``name`` stands for and that are installed, at least one.

    Raises ``InvalidRequestError`` for a name that doesn't exist, ``BackendUnavailableError`` for
    one that isn't installed.
    """
    if name != "auto" and name not in BACKENDS:
        raise InvalidRequestError(f"backend must be one of {['auto', *BACKENDS]}, not {name!r}")
    wanted = list(BACKENDS) if name == "auto" else [name]
    installed = [each for each in wanted if find_spec(BACKENDS[each].requires) is not None]
    if installed:
        return installed
    needed = [BACKENDS[each].requires for each in wanted]
    raise BackendUnavailableError(
        f"backend {name!r} needs {' or '.join(needed)}, which is not installed; "
        f"pip install {BACKENDS[wanted[0]].install}"
    )


def stored_weights(backends: Sequence[str], precision: str | None) -> list[tuple[str, str | None]]:
    """The formats that the backends read, each with the stored precision it has to be in.

    ``None`` stands for any, both in and out; the preferred one is first. Raises
    ``BackendUnavailableError`` where none of them runs the precision.
    """
    entries = [BACKENDS[name] for name in backends]
    found = [
        (entry.format, stored)
        for entry in entries
        for stored in ([None] if precision is None else entry.runs.get(precision, ()))
    ]
    if not found:
        known = {name: list(BACKENDS[name].runs) for name in backends}
        raise BackendUnavailableError(
            f"precision {precision!r} is not one that the installed backends run: {known}; leave "
            "precision out, or install another backend"
        )
    return list(dict.fromkeys(found))


def backend_class(name: str) -> type[Backend]:
    """The class behind a name of ``BACKENDS``; its module is imported only now."""
    entry = BACKENDS[name]
    cls: type[Backend] = getattr(import_module(entry.module), entry.cls)
    return cls
