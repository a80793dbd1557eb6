"""The device of a run: what it is, what it can, and how much of its memory is used."""

from __future__ import annotations

import gc
import importlib.metadata
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import processor
from arguments import processors

_PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "sentence-transformers",
    "FlagEmbedding",
    "flash-attn",
    "kernels",
)
_PRODUCTS = 5
_T = TypeVar("_T")


@dataclass(frozen=True)
class Used:
    """Bytes of a device's memory beyond what was used before."""

    peak: int
    """The most that tensors had."""
    reserved: int
    """The most that torch had taken from the device."""


class Accelerator:
    """A GPU with CUDA, or the CPU, by its name in torch."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_gpu = name.startswith("cuda")

    @cached_property
    def _torch(self) -> Any:
        import torch

        return torch

    def facts(self) -> dict[str, Any]:
        """What a report says of the device, the processor beside it, and the packages."""
        facts: dict[str, Any] = {
            "device": self._torch.cuda.get_device_name(self.name) if self.is_gpu else "cpu",
            "processor": processor.name(),
            "processors": processors(),
            "versions": {each: version(each) for each in _PACKAGES},
        }
        if self.is_gpu:
            found = self._torch.cuda.get_device_properties(self.name)
            facts["memory"] = found.total_memory
            facts["multiprocessors"] = found.multi_processor_count
            facts["cuda"] = self._torch.version.cuda
            facts["driver"] = _driver()
        return facts

    def folder(self) -> str:
        """The name of its folder of results: ``h200`` for an NVIDIA H200."""
        if not self.is_gpu:
            return "cpu"
        name = re.sub(r"nvidia|geforce", "", self._torch.cuda.get_device_name(self.name).lower())
        return "-".join(re.findall(r"[a-z0-9]+", name)) or "gpu"

    def rates(self) -> dict[str, float]:
        """FLOP/s of large products of random matrices, by precision: the median of ten times, warm.

        On a GPU in bfloat16 and float32; on a CPU float32 stands for both.
        """
        if not self.is_gpu:
            rate = self._rate(self._torch.float32, 1024)
            return {"bf16": rate, "fp32": rate}
        return {
            "bf16": self._rate(self._torch.bfloat16, 8192),
            "fp32": self._rate(self._torch.float32, 4096),
        }

    def _rate(self, dtype: Any, size: int) -> float:
        left, right = (
            self._torch.randn(size, size, device=self.name, dtype=dtype) for _ in range(2)
        )
        seconds = []
        for number in range(12):
            self.synchronize()
            start = time.perf_counter()
            # Several, so that the waiting for the last one doesn't count.
            for _ in range(_PRODUCTS):
                left @ right
            self.synchronize()
            if number >= 2:
                seconds.append(time.perf_counter() - start)
        return float(_PRODUCTS * 2 * size**3 / statistics.median(seconds))

    def synchronize(self) -> None:
        """Wait until the device has done all that it was given."""
        if self.is_gpu:
            self._torch.cuda.synchronize(self.name)

    def allocated(self) -> int:
        """Bytes that tensors have on the GPU; 0 on a CPU."""
        return int(self._torch.cuda.memory_allocated(self.name)) if self.is_gpu else 0

    def watched(self, run: Callable[[], _T]) -> tuple[_T, Used | None]:
        """Run something from an empty cache of torch's; returns what it does, and what it used."""
        if not self.is_gpu:
            return run(), None
        cuda = self._torch.cuda
        self.clear()
        tensors, reserved = self.allocated(), int(cuda.memory_reserved(self.name))
        cuda.reset_peak_memory_stats(self.name)
        found = run()
        self.synchronize()
        return found, Used(
            int(cuda.max_memory_allocated(self.name)) - tensors,
            int(cuda.max_memory_reserved(self.name)) - reserved,
        )

    def clear(self) -> None:
        """Give back what nobody uses any more."""
        gc.collect()
        if self.is_gpu:
            self._torch.cuda.empty_cache()


def version(package: str) -> str | None:
    """The installed version of a distribution, or ``None``."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _driver() -> str | None:
    """The driver's version, as the kernel module says it."""
    path = Path("/proc/driver/nvidia/version")
    found = path.exists() and re.search(r"\b\d+\.\d+(\.\d+)?\b", path.read_text(encoding="utf-8"))
    return found.group() if found else None
