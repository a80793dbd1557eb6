"""Backend torch: GPUs that CUDA can't start or that lack something, and the memory of a pass.

What CUDA says is made up here; what follows from it isn't.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from parity.encoders import WINDOW
from parity.torch_models import (
    ANSWERING,
    PACKED,
    PADDED,
    make_answering,
    make_encoder,
    torch,
)

from resift import BackendUnavailableError
from resift.backends.torch import checkpoint, packing
from resift.backends.torch.device import batch_tokens, bytes_per_token, find_device
from resift.families.table import FAMILIES
from resift.text.batch import Batch

GPU = torch.device("cuda")


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Two GPUs, of which the second has no bfloat16 and no flash attention."""
    major = {0: 9, 1: 7}
    current = [0]

    @contextmanager
    def use(index: int) -> Iterator[None]:
        before, current[0] = current[0], index
        yield
        current[0] = before

    cuda = torch.cuda
    monkeypatch.setattr(cuda, "is_available", lambda: True)
    monkeypatch.setattr(cuda, "device_count", lambda: 2)
    monkeypatch.setattr(cuda, "init", lambda: None)
    monkeypatch.setattr(cuda, "device", use)
    monkeypatch.setattr(cuda, "is_bf16_supported", lambda **_: major[current[0]] >= 8)
    monkeypatch.setattr(cuda, "get_device_capability", lambda at: (major[at.index or 0], 0))
    monkeypatch.setattr(cuda, "get_device_name", lambda at: f"GPU number {at.index or 0}")
    return monkeypatch


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_device_whose_cuda_does_not_start_is_unavailable(
    gpus: pytest.MonkeyPatch, precision: str
) -> None:
    def refuse() -> None:
        raise RuntimeError("Cannot re-initialize CUDA in forked subprocess")

    gpus.setattr(torch.cuda, "init", refuse)
    for name in (None, "cuda", "cuda:1"):
        with pytest.raises(BackendUnavailableError, match=r"cuda.*forked.*spawn"):
            find_device(name, precision)
    assert find_device("cpu", precision).type == "cpu"


def test_bfloat16_is_asked_of_the_device_itself(gpus: pytest.MonkeyPatch) -> None:
    assert find_device("cuda:0", "bf16").index == 0
    assert find_device("cuda:1", "fp16").index == 1
    with pytest.raises(BackendUnavailableError, match="GPU number 1 has no bfloat16"):
        find_device("cuda:1", "bf16")


# Heads of 8, 256, 20 and 264.
@pytest.mark.parametrize(
    ("hidden", "heads", "packed"), [(32, 4, True), (512, 2, True), (60, 3, False), (264, 1, False)]
)
def test_heads_that_flash_attention_does_not_take_are_padded(
    tmp_path: Path, gpus: pytest.MonkeyPatch, hidden: int, heads: int, packed: bool
) -> None:
    changes = {"hidden_size": hidden, "num_attention_heads": heads}
    path = make_encoder("bert", tmp_path, **changes).folder / "model.safetensors"

    def is_packed(device: Any, dtype: Any) -> bool:
        network = checkpoint.read_checkpoint(path, device, dtype, ())
        return isinstance(network, packing.PackedNetwork)

    assert is_packed(GPU, torch.float16) is is_packed(GPU, torch.bfloat16) is packed
    assert not is_packed(GPU, torch.float32)
    assert not is_packed(torch.device("cuda:1"), torch.float16)
    assert is_packed(torch.device("cpu"), torch.float32)


def test_scarce_memory_gives_fewer_tokens(gpus: pytest.MonkeyPatch) -> None:
    config = SimpleNamespace(
        hidden_size=1024,
        intermediate_size=4096,
        num_attention_heads=16,
        is_encoder_decoder=False,
        _attn_implementation="sdpa",
    )
    found = []
    for free in (10**12, 10**9, 10**8, 1):
        gpus.setattr(torch.cuda, "mem_get_info", lambda _, free=free: (free, 10**12))
        tokens = batch_tokens(config, GPU, torch.float16)
        # Two passes at a time, and as much again for whatever else there is.
        assert tokens == 1 or 4 * tokens * bytes_per_token(config, torch.float16) <= free
        found.append(tokens)
    assert found == sorted(found, reverse=True)
    assert found[0] == 16_384 > found[1] > 1000 > found[2] > found[3] == 1


class Peak(torch.utils._python_dispatch.TorchDispatchMode):  # type: ignore[misc]
    """The largest number of bytes of tensors that were alive at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.bytes = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, function: Callable[..., Any], _: Any, given: Any = (), options: Any = None
    ) -> Any:
        output = function(*given, **(options or {}))
        for each in torch.utils._pytree.tree_leaves(output):
            if isinstance(each, torch.Tensor) and each.untyped_storage()._cdata not in self._known:
                storage = each.untyped_storage()
                weakref.finalize(storage, self._freed, storage._cdata, storage.nbytes())
                self._known.add(storage._cdata)
                self.live += storage.nbytes()
                self.bytes = max(self.bytes, self.live)
        return output

    def _freed(self, key: int, size: int) -> None:
        self._known.remove(key)
        self.live -= size


@pytest.mark.parametrize("name", [*sorted(PACKED | PADDED), *ANSWERING])
def test_a_pass_takes_no_more_memory_than_expected(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Padded, as in float32 on a GPU.
    monkeypatch.setattr(checkpoint, "can_pack", lambda *_: False)
    length, ids = WINDOW, []
    if name in ANSWERING:
        answering = make_answering(name, tmp_path)
        prompt = FAMILIES[name]().prompt
        assert prompt is not None
        length, ids = 512, [answering.token(each) for each in prompt.answers]
    else:
        make_encoder(name, tmp_path)
    path = tmp_path / "model.safetensors"
    network = checkpoint.read_checkpoint(path, torch.device("cpu"), torch.float32, ids)
    rows = np.full((16, length), 5)
    present = np.ones_like(rows)
    # transformers makes no mask where all are.
    present[-1, -7:] = 0
    with torch.inference_mode(), Peak() as peak:
        network(Batch(rows, present, np.zeros_like(rows)))
    expected = rows.size * bytes_per_token(network.config, torch.float32)
    assert expected / 8 < peak.bytes <= expected
