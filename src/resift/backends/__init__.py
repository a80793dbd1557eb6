"""How token ids become the model's outputs: one file and one table line for each backend."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from resift.errors import BackendUnavailableError, InvalidRequestError
from resift.text.batch import Batch


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
    versions: Mapping[str, tuple[str, str | None]] = {}
    """Distributions that have to be of a version from the first to below the second."""
    probed: Sequence[str] = ()
    """Precisions that not every processor runs: the module's ``lacking`` says whether this does."""
    reluctant: Sequence[str] = ()
    """Precisions taken, unless asked for, only where there is nothing else; the last one last."""
    architectures: Sequence[str] = ()
    """Those that only this backend has the code of, and all that it runs; none: all others."""


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
        runs={each: [each] for each in ("fp32", "int8", "int8-narrow", "int8-dynamic", "fp16")},
        probed=["int8", "int8-narrow"],
        # It computes fp16 in float32, with casts; docs/models.md has why int8-dynamic.
        reluctant=["fp16", "int8-dynamic"],
    ),
    "openvino": BackendEntry(
        "resift.backends.openvino",
        "OpenVinoBackend",
        requires=["openvino"],
        install="resift[openvino]",
        devices=["cpu"],
        formats=["onnx"],
        runs={"fp32": ["fp32"], "bf16": ["fp32"]},
        probed=["bf16"],
    ),
    "torch": BackendEntry(
        "resift.backends.torch",
        "TorchBackend",
        requires=["torch", "transformers"],
        install="resift[torch]",
        devices=["cpu", "cuda", "mps"],
        formats=["safetensors", "late_interaction"],
        runs={"fp32": ["fp32"], "bf16": ["fp32"], "fp16": ["fp32"]},
        versions={"transformers": ("5.0", None)},
    ),
    "flag_embedding": BackendEntry(
        "resift.backends.flag_embedding",
        "FlagEmbeddingBackend",
        requires=["FlagEmbedding", "torch", "transformers"],
        install="resift[flag-embedding]",
        devices=["cpu", "cuda", "mps"],
        formats=["safetensors"],
        runs={"fp32": ["fp32"], "bf16": ["fp32"], "fp16": ["fp32"]},
        # FlagEmbedding's model classes call parts of transformers that 4.48 changed.
        versions={"transformers": ("4.47", "4.48")},
        architectures=["LayerWiseMiniCPMForCausalLM", "CostWiseGemmaForCausalLM"],
    ),
}


def installed_backends(name: str, device: str | None = None) -> list[str]:
    """The backends that ``name`` stands for and that are installed, at least one.

    ``"auto"`` stands for those that run on the kind of ``device``, or on any for ``None``. Raises
    ``InvalidRequestError`` for a name that doesn't exist, ``BackendUnavailableError`` for one that
    isn't installed or needs another version of a package, or a device that no backend has.
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
    usable = [each for each in installed if not _wrong_versions(each)]
    if usable:
        return usable
    for_device = "" if device is None else f" for device {device!r}"
    if installed:
        raise BackendUnavailableError(
            f"backend {name!r} needs {' or '.join(map(_wrong_versions, installed))}{for_device}; "
            f"in an environment for it, pip install {BACKENDS[installed[0]].install}"
        )
    needed = [" and ".join(BACKENDS[each].requires) for each in wanted]
    raise BackendUnavailableError(
        f"backend {name!r} needs {' or '.join(needed)}{for_device}, which is not installed; "
        f"pip install {BACKENDS[wanted[0]].install}"
    )


def _wrong_versions(name: str) -> str:
    """What versions an importable backend expects, and what was found; empty where it fits."""
    wrong = []
    for each, (first, above) in BACKENDS[name].versions.items():
        found = _version(each)
        is_below = above is None or _numbers(found) < _numbers(above)
        if not (is_below and _numbers(found) >= _numbers(first)):
            expected = f">={first}" + (f",<{above}" if above else "")
            wrong.append(f"{each}{expected}, but {found or 'none'} is installed")
    return " and ".join(wrong)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    # A folder of the same name can be imported too.
    except PackageNotFoundError:
        return ""


def _numbers(text: str) -> tuple[int, ...]:
    """The first two alone; none for none."""
    return tuple(map(int, re.findall(r"\d+", text)[:2]))


def having_code(
    backends: Sequence[str], config: Mapping[str, Any], model: str, device: str | None = None
) -> list[str]:
    """Those of ``backends`` that have the code for a ``config.json``, at least one.

    Raises ``BackendUnavailableError`` where there is none, with what would have it.
    """
    found = with_code(backends, config)
    if found:
        return found
    architectures = set(config.get("architectures") or ())
    owners = _owners(config)
    if not owners:
        expected = sorted(each for name in backends for each in BACKENDS[name].architectures)
        raise BackendUnavailableError(
            f"{model}: its architectures are {sorted(architectures)}, and backend "
            f"{' or '.join(map(repr, backends))} runs {expected} alone; leave backend out"
        )
    try:
        installed_backends(owners[0], device)
        reason = "leave backend out"
    except BackendUnavailableError as error:
        reason = str(error)
    raise BackendUnavailableError(
        f"{model}: its architectures are {sorted(architectures)}, which only backend "
        f"{owners[0]!r} runs; {reason}"
    )


def with_code(backends: Sequence[str], config: Mapping[str, Any]) -> list[str]:
    """Those of ``backends`` that have the code for a ``config.json``; maybe none."""
    owners = _owners(config)
    if owners:
        return [name for name in backends if name in owners]
    return [name for name in backends if not BACKENDS[name].architectures]


def _owners(config: Mapping[str, Any]) -> list[str]:
    """The backends that alone have the code of an architecture in ``config.json``."""
    architectures = set(config.get("architectures") or ())
    return [name for name in BACKENDS if architectures.intersection(BACKENDS[name].architectures)]


def lacking(name: str, precision: str) -> str | None:
    """Why this processor can't run a precision that a backend runs, or ``None`` where it can.

    Imports the backend's module where not every processor can.
    """
    entry = BACKENDS[name]
    if precision not in entry.probed:
        return None
    reason: str | None = import_module(entry.module).lacking(precision)
    return reason


def int8_saturates() -> bool:
    """Whether this processor takes slower instructions for int8 that is exact."""
    saturates: bool = import_module(BACKENDS["onnx"].module).int8_saturates()
    return saturates


def backend_class(name: str) -> type[Backend]:
    """The class behind a name of ``BACKENDS``; its module is imported only now."""
    entry = BACKENDS[name]
    cls: type[Backend] = getattr(import_module(entry.module), entry.cls)
    return cls
