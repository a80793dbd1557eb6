"""The table of backends: one entry for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from resift.errors import BackendUnavailableError, InvalidRequestError
from resift.plugins import Plugins


class BackendEntry(NamedTuple):
    """A backend's module and class, its requirements, and the weights that it runs."""

    module: str
    cls: str
    requires: Sequence[str]
    """The modules that must be importable."""
    install: str
    """The argument of ``pip install`` that installs them."""
    devices: Sequence[str]
    """The kinds of device that it runs on."""
    formats: Sequence[str]
    """The kinds of file that it reads."""
    runs: Mapping[str, Sequence[str]]
    """For each precision, the stored ones that it is computed from, the preferred one first."""
    versions: Mapping[str, tuple[str, str | None]] = {}
    """Distributions whose version must be at least the first and below the second."""
    probed: Sequence[str] = ()
    """Precisions that not every processor runs: the module's ``lacking`` tells for this one."""
    reluctant: Sequence[str] = ()
    """Precisions only used when requested, or when there is nothing else; the last one last."""
    architectures: Sequence[str] = ()
    """Architectures that only this backend implements (and the only ones it runs). Empty: any
    other."""


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
        "resift.backends.torch.backend",
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
"""resift's own, by name."""

PLUGINS: Plugins[BackendEntry] = Plugins(
    "resift.backends",
    expected="a resift.backends.BackendEntry",
    is_one=lambda part: isinstance(part, BackendEntry),
    error=BackendUnavailableError,
    ours=BACKENDS,
)


def backend_entry(name: str) -> BackendEntry:
    """The entry of a backend, of resift's own or of another package.

    Raises ``InvalidRequestError`` for an unknown name, ``BackendUnavailableError`` for a backend of
    a broken package.
    """
    entry = BACKENDS.get(name) or PLUGINS.get(name)
    if entry is None:
        known = ["auto", *BACKENDS, *PLUGINS.names()]
        raise InvalidRequestError(f"backend must be one of {known}, not {name!r}")
    return entry
