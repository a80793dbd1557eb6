"""Backend torch on a GPU with CUDA: what no CPU can show.

The rest is in ``test_torch_*.py``, which run there too: every family and the bundled model, in each
precision. What is expected is computed on the CPU, in float32.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity.agreeing import TOLERANCE, Logits
from parity.texts import DOCUMENTS, QUERY, WORDS
from parity.torch_models import (
    ANSWERING,
    HALF,
    check_half,
    in_order,
    logits,
    make_answering,
    make_encoder,
    torch,
)

from resift import BackendUnavailableError, Reranker
from resift.backends.torch import packing
from resift.backends.torch.backend import TorchBackend
from resift.backends.torch.network import to_device

DEVICE = "cuda"
pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no GPU with CUDA here: see docs/gpu.md"
)
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def bound(precision: str, expected: Logits) -> float:
    """The distance that a logit may have from ``expected``."""
    if precision == "fp32":
        return TOLERANCE
    return HALF[precision] * float(np.abs(expected).max())


def test_products_are_in_whole_float32(tmp_path: Path) -> None:
    """Neither torch nor transformers asks for TF32, whose products have ten bits."""
    make_encoder("bert", tmp_path)
    logits(tmp_path, QUERY, ["Harbour"], device=DEVICE)
    assert torch.get_float32_matmul_precision() == "highest"
    left, right = torch.randn(2, 512, 512, generator=torch.Generator().manual_seed(0))
    exact = (left.double() @ right.double()).float()
    found = (left.to(DEVICE) @ right.to(DEVICE)).cpu()
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-3)


@pytest.mark.parametrize("window", [-1, 0, 4, 64, 1000])
@pytest.mark.parametrize("width", [8, 32, 64, 128, 256])
@pytest.mark.parametrize(("precision", "atol"), [("fp16", 2e-3), ("bf16", 2e-2)])
def test_the_kernel_equals_attention_one_by_one(
    precision: str, atol: float, width: int, window: int
) -> None:
    starts = torch.tensor([0, 1, 6, 70, 199, 200, 500], dtype=torch.int32)
    generator = torch.Generator().manual_seed(0)
    # One tensor of all three, as ModernBERT has it.
    given = torch.randn(500, 3, 3, width, generator=generator).to(DTYPES[precision])
    scale = width**-0.5
    query, key, value = given.float().unbind(1)
    expected = packing.attend_one_by_one(query, key, value, starts, 300, scale, window)
    query, key, value = given.to(DEVICE).unbind(1)
    found = packing.attend_at_once(query, key, value, starts.to(DEVICE), 300, scale, window)
    assert (found.dtype, found.shape) == (DTYPES[precision], expected.shape)
    torch.testing.assert_close(found.float().cpu(), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("precision", ["fp32", *HALF])
def test_what_runs_packed(precision: str, tmp_path: Path) -> None:
    make_encoder("bert", tmp_path)
    path = tmp_path / "model.safetensors"
    backend = TorchBackend(path, device=DEVICE, precision=precision, threads=1)
    assert isinstance(backend._network, packing.PackedNetwork) is (precision != "fp32")


@pytest.mark.parametrize("precision", HALF)
def test_heads_that_the_kernel_does_not_take(precision: str, tmp_path: Path) -> None:
    reference = make_encoder("bert", tmp_path, hidden_size=60, num_attention_heads=3)
    expected = reference.logits(QUERY, DOCUMENTS)
    check_half(tmp_path, QUERY, DOCUMENTS, expected, device=DEVICE, precision=precision)


def test_sources_may_change_as_soon_as_they_are_copied() -> None:
    busy = torch.randn(4096, 4096, device=DEVICE)
    for _ in range(20):
        busy = busy @ busy
    copies = []
    for number in range(200):
        source = np.full(100_000, number)
        copies.append(to_device(source, torch.device(DEVICE)))
        source[:] = -1
    for number, copy in enumerate(copies):
        assert bool((copy == number).all())


def test_overflow_in_float16_is_computed_again_in_float32(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reference = make_encoder("bert", tmp_path)
    # Before the first layer's norm, so that everything after it is NaN.
    reference.model.bert.encoder.layer[0].output.dense.weight.data *= 1e6
    reference.model.save_pretrained(tmp_path)
    expected = reference.logits(QUERY, DOCUMENTS)
    found = logits(tmp_path, QUERY, DOCUMENTS, device=DEVICE, precision="fp16")
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    assert "computing again in fp32" in caplog.text


@pytest.fixture
def scarce() -> Iterator[None]:
    """A GPU of which others have all but a gibibyte."""
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    taken = torch.empty(free - 2**30, dtype=torch.uint8, device=DEVICE)
    yield
    del taken
    torch.cuda.empty_cache()


@pytest.mark.usefixtures("scarce")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", ["bert", "deberta-v2", "qwen3_reranker", "mono_t5"])
def test_memory_suffices_where_little_is_free(
    name: str, precision: str, tmp_path: Path, sizes: list[int]
) -> None:
    if name in ANSWERING:
        wide = {"num_layers": 4, "d_model": 1024, "d_ff": 4096, "num_heads": 16}
        make_answering(name, tmp_path, **(wide if "t5" in name else {"hidden_size": 1024}))
    else:
        wide = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16}
        pooler = {"pooler_hidden_size": 1024} if "deberta" in name else {}
        make_encoder(name, tmp_path, **wide, **pooler, max_position_embeddings=512)
    reranker = Reranker(
        tmp_path, backend="torch", device=DEVICE, precision=precision, max_length=512
    )
    long = " ".join(WORDS * 2)
    ranking = reranker.rank("ferry", [f"{number} {long}" for number in range(1000)])
    assert ranking.counts.tokens == 1000 * 512
    assert 512 <= max(sizes) < 16_384


@pytest.mark.usefixtures("scarce")
def test_memory_that_a_caller_asks_too_much_of_is_an_error(tmp_path: Path) -> None:
    make_encoder("bert", tmp_path, intermediate_size=16_384, max_position_embeddings=512)
    options: dict[str, Any] = {"backend": "torch", "device": DEVICE, "max_length": 512}
    documents = [f"{number} {' '.join(WORDS * 2)}" for number in range(100)]
    with pytest.raises(torch.OutOfMemoryError):
        Reranker(tmp_path, **options, max_batch_tokens=10**6).rank("ferry", documents)
    gc.collect()
    assert len(Reranker(tmp_path, **options).rank("ferry", documents)) == 100


@pytest.mark.parametrize("precision", ["fp32", *HALF])
def test_two_processes_on_one_device(precision: str, tmp_path: Path) -> None:
    expected = make_encoder("bert", tmp_path).logits(QUERY, DOCUMENTS)
    name = f"{DEVICE}:0"
    options: dict[str, Any] = {"devices": [name, name], "precision": precision}
    reranker = Reranker(tmp_path, backend="torch", max_batch_tokens=1000, **options)
    ranking = reranker.rank(QUERY, DOCUMENTS)
    atol = bound(precision, expected)
    np.testing.assert_allclose(in_order(ranking), expected, rtol=0, atol=atol)
    assert ranking.device == f"{name}, {name}"


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU with CUDA alone")
@pytest.mark.parametrize("precision", ["fp32", *HALF])
def test_the_second_device(precision: str, tmp_path: Path) -> None:
    expected = make_encoder("modernbert", tmp_path).logits(QUERY, DOCUMENTS)
    found = logits(tmp_path, QUERY, DOCUMENTS, device="cuda:1", precision=precision)
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound(precision, expected))


def test_which_device_is_taken(tmp_path: Path) -> None:
    make_encoder("bert", tmp_path)
    assert Reranker(tmp_path, backend="torch").rank(QUERY, ["ferry"]).device == DEVICE
    with pytest.raises(BackendUnavailableError, match=r"cuda:99.*'cpu', 'cuda', 'cuda:0'"):
        Reranker(tmp_path, backend="torch", device="cuda:99").warm_up()


@pytest.mark.parametrize("precision", ["fp32", *HALF])
def test_threads_at_once_give_the_same(precision: str, tmp_path: Path) -> None:
    make_encoder("modernbert", tmp_path)
    reranker = Reranker(tmp_path, backend="torch", device=DEVICE, precision=precision)

    def run(number: int) -> Logits:
        return in_order(reranker.rank(WORDS[number], DOCUMENTS[number : number + 60]))

    one_by_one = [run(number) for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        for found, expected in zip(pool.map(run, range(24)), one_by_one, strict=True):
            atol = 1e-5 if precision == "fp32" else bound(precision, expected)
            np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


_FORK = """
import os, sys
from resift import BackendUnavailableError, Reranker
options = {"backend": "torch", "device": sys.argv[2], "precision": sys.argv[3]}
reranker = Reranker(sys.argv[1], **options)
expected = reranker.rank("ferry", ["Harbour"]).results
child = os.fork()
if child == 0:
    for each in (reranker, Reranker(sys.argv[1], **options)):
        try:
            each.rank("ferry", ["Harbour"])
        except BackendUnavailableError as error:
            assert "spawn" in str(error), error
        else:
            sys.exit(1)
    sys.exit(0)
_, status = os.waitpid(child, 0)
assert reranker.rank("ferry", ["Harbour"]).results == expected
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.parametrize("precision", ["fp32", *HALF])
def test_a_forked_child_is_told_to_spawn(precision: str, tmp_path: Path) -> None:
    make_encoder("bert", tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", _FORK, str(tmp_path), DEVICE, precision],
        timeout=100,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
