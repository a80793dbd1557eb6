"""Devices of torch, and the precisions, threads and batch sizes that suit them."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import torch

from resift.errors import BackendUnavailableError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# Measured in benchmarks/NOTES.md, and so is one thread for each pass.
_CPU_BATCH_TOKENS = 1024
# Enough rows for a matrix product to fill a large GPU; not measured on one yet.
_GPU_BATCH_TOKENS = 16_384
# The share of a pass in the memory that is free once the model is loaded: two run at a time.
_MEMORY_SHARE = 0.25

_Network = TypeVar("_Network", bound=Any)
_threads = threading.local()
_lock = threading.Lock()


def find_device(name: str | None, precision: str) -> Any:
    """The ``torch.device`` of a name; by default CUDA's first GPU, else the CPU.

    Raises ``BackendUnavailableError`` for a device that is missing or lacks the precision.
    """
    available = _available()
    if name is None:
        name = "cuda" if "cuda" in available else "cpu"
    if name not in available:
        raise BackendUnavailableError(
            f"torch has no device {name!r} here; expected one of {available}, or None "
            "for a GPU with CUDA where there is one, else the CPU. A torch without CUDA sees no "
            "GPU: check torch.cuda.is_available()"
        )
    device = torch.device(name)
    if device.type == "cuda":
        _check_cuda(device, precision)
    return device


def _available() -> list[str]:
    names = ["cpu"]
    if torch.cuda.is_available():
        names += ["cuda", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        names.append("mps")
    return names


def _check_cuda(device: Any, precision: str) -> None:
    """Raise ``BackendUnavailableError`` where CUDA doesn't start, or lacks the precision."""
    try:
        # Before anything else asks for it: that has no class of error of its own.
        torch.cuda.init()
    except RuntimeError as error:
        raise BackendUnavailableError(
            f"CUDA doesn't start for device '{device}': {error}. Choose another device; in a child "
            "of a process that has used CUDA, start processes by spawn"
        ) from error
    # torch asks the current device alone.
    with torch.cuda.device(_index(device)):
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "bf16" and not has_bf16:
        raise BackendUnavailableError(
            f"{torch.cuda.get_device_name(device)} has no bfloat16; expected precision 'fp16' or "
            "'fp32'"
        )


def _index(device: Any) -> int:
    """The number of a GPU; the first without one, as the current one of new threads is."""
    return device.index or 0


def placed(network: _Network, device: Any) -> _Network:
    """Move ``network`` to ``device``. Raises ``BackendUnavailableError`` where that fails."""
    try:
        network.model.to(device)
    # CUDA raises this class for all errors, most of all where no memory is left.
    except RuntimeError as error:
        raise BackendUnavailableError(
            f"the model can't be put on device '{device}': {error}. Choose another device, or make "
            "room on this one"
        ) from error
    return network


def batch_tokens(config: Any, device: Any, dtype: Any) -> int:
    """The number of padded tokens for one pass on ``device``, for a model that is already on it."""
    if device.type == "cpu":
        return _CPU_BATCH_TOKENS
    if device.type != "cuda":
        return _GPU_BATCH_TOKENS
    free, _ = torch.cuda.mem_get_info(_index(device))
    most = int(int(free) * _MEMORY_SHARE) // bytes_per_token(config, dtype)
    return max(1, min(_GPU_BATCH_TOKENS, most))


def bytes_per_token(config: Any, dtype: Any) -> int:
    """The memory that a pass takes at most for each padded token, in bytes.

    The feed-forward layer is the widest: at most three of its tensors, and a dozen of the hidden
    size, are alive at a time, in ``dtype``. Where attention is written out, six matrices of its
    weights are more, for a pair as long as the model takes.
    """
    hidden, heads = int(config.hidden_size), int(config.num_attention_heads)
    # The names of BERT and decoders, of T5, and of DistilBERT.
    inner = _size(config, "intermediate_size", "d_ff", "hidden_dim") or 4 * hidden
    values = 3 * inner + 12 * hidden
    # torch's fused attention on a GPU takes no other widths; T5 adds a bias for each head.
    unfused = (getattr(config, "head_dim", None) or hidden // heads) % 8 > 0
    if config._attn_implementation == "eager" or config.is_encoder_decoder or unfused:
        values += 6 * heads * (_size(config, "max_position_embeddings", "n_positions") or 512)
    return values * int(dtype.itemsize)


def _size(config: Any, *names: str) -> int | None:
    """The first of these that a model's configuration has."""
    return next((int(getattr(config, name)) for name in names if hasattr(config, name)), None)


def one_thread() -> None:
    """Make torch's operators run in the calling thread alone, now and later.

    Each thread has a forward pass of its own already, and a pool of OpenMP threads would wait
    forever in a child of ``fork``. Other threads are unaffected: torch has a number for each
    thread, and one for new threads, which is restored.
    """
    if getattr(_threads, "limited", False):
        return
    with _lock:
        # Read first: torch initialises the per-thread count on this call.
        for_new_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        restore = threading.Thread(target=torch.set_num_threads, args=(for_new_threads,))
        restore.start()
        restore.join()
    _threads.limited = True
