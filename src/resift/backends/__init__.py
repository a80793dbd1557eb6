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
    ``threads`` how many threads of the CPU it may use. ``vocabulary_ids`` are for models with a
    language-modelling head: the tokens whose logits are the outputs; a backend that can't read
    such models refuses any. Raises ``BackendUnavailableError`` for a device that isn't there,
    ``UnsupportedModelError`` naming a file that can't be run.
    """

    device: str
    """Where it runs."""
    workers: int
    """How many threads may be in ``forward`` at a time; more gain nothing."""
    max_batch_tokens: int
    """Padded tokens of one forward pass, where the caller says nothing."""
    length_multiple: int
    """Lengths that aren't a multiple of this are padded to one."""
    pads: bool
    """Whether pairs of different lengths may share a pass, without moving a logit."""

    def __init__(
        self,
        path: Path,
        *,
        device: str | None,
        precision: str,
        threads: int,
        vocabulary_ids: Sequence[int] = (),
    ) -> None: ...

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        """``[batch, length]`` token ids to the model's outputs, ``float32 [batch, labels]``."""


class BackendEntry(NamedTuple):
    """Where a backend is, what it needs, and which weights it runs."""

    module: str
    cls: str
    requires: Sequence[str]
    """The modules that have to be importable."""
    install: str
    """What ``pip install`` gets them."""
    devices: Sequence[str]
    """The kinds of device that it runs on."""
    formats: Sequence[str]
    """The kinds of file that it reads."""
    runs: Mapping[str, Sequence[str]]
    """For each precision, the stored ones that it is computed from, the preferred one first."""


# "auto" tries them in this order: the faster first, for weights and a precision that both run
# (benchmarks/NOTES.md).
BACKENDS: dict[str, BackendEntry] = {
    "onnx": BackendEntry(
        "resift.backends.onnx",
        "OnnxBackend",
        requires=["onnxruntime"],
        install="onnxruntime",
        devices=["cpu"],
        formats=["onnx"],
        runs={each: [each] for each in ("fp32", "int8", "int8-dynamic", "fp16")},
    ),
    "openvino": BackendEntry(
        "resift.backends.openvino",
        "OpenVinoBackend",
        requires=["openvino"],
        install="resift[openvino]",
        devices=["cpu"],
        formats=["onnx"],
        runs={"fp32": ["fp32"], "bf16": ["fp32"]},
    ),
    "torch": BackendEntry(
        "resift.backends.torch",
        "TorchBackend",
        requires=["torch", "transformers"],
        install="resift[torch]",
        devices=["cpu", "cuda", "mps"],
        formats=["safetensors", "late_interaction"],
        runs={"fp32": ["fp32"], "bf16": ["fp32"], "fp16": ["fp32"]},
    ),
}


def installed_backends(name: str, device: str | None = None) -> list[str]:
    """The backends that ``name`` stands for and that are installed, at least one.

    ``"auto"`` stands for those that run on the kind of ``device``, or on any for ``None``. Raises
    ``InvalidRequestError`` for a name that doesn't exist, ``BackendUnavailableError`` for one that
    isn't installed, or a device that no backend has.
    """
    if name != "auto" and name not in BACKENDS:
        raise InvalidRequestError(f"backend must be one of {['auto', *BACKENDS]}, not {name!r}")
    wanted = [name]
    if name == "auto":
        kind = None if device is None else device.split(":")[0]
        wanted = [each for each in BACKENDS if kind is None or kind in BACKENDS[each].devices]
    if not wanted:
        known = sorted({each for entry in BACKENDS.values() for each in entry.devices})
        raise BackendUnavailableError(
            f"no backend has a device {device!r}; expected one of {known}, or None"
        )
    installed = [each for each in wanted if all(map(find_spec, BACKENDS[each].requires))]
    if installed:
        return installed
    needed = [" and ".join(BACKENDS[each].requires) for each in wanted]
    for_device = "" if device is None else f" for device {device!r}"
    raise BackendUnavailableError(
        f"backend {name!r} needs {' or '.join(needed)}{for_device}, which is not installed; "
        f"pip install {BACKENDS[wanted[0]].install}"
    )


def stored_weights(backends: Sequence[str], precision: str | None) -> list[tuple[str, str | None]]:
    """The formats that the backends read, each with the stored precision it has to be in.

    ``None`` stands for any, both in and out; the preferred one is first. Raises
    ``BackendUnavailableError`` where none of them runs the precision.
    """
    entries = [BACKENDS[name] for name in backends]
    found = [
        (kind, stored)
        for entry in entries
        for kind in entry.formats
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
