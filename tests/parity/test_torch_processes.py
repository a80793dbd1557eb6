"""Backend torch: devices, processes and threads."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity.agreeing import agree
from parity.texts import DOCUMENTS, QUERY
from parity.torch_models import make_encoder, torch

from resift import BackendUnavailableError, Reranker
from resift.backends.torch.backend import TorchBackend
from resift.text.batch import Batch


def test_unavailable_devices_are_refused(tmp_path: Path) -> None:
    for device in ("cuda:99", "abacus", "cpu:7"):
        with pytest.raises(BackendUnavailableError, match=f"{device}.*'cpu'"):
            Reranker(backend="torch", device=device).warm_up()


def threads_of_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        count: int = pool.submit(torch.get_num_threads).result()
    return count


# On the CPU alone: a GPU's passes aren't spread over torch's threads.
def test_threads_share_a_backend_and_keep_their_number(tmp_path: Path) -> None:
    make_encoder("bert", tmp_path)
    here, elsewhere = torch.get_num_threads(), threads_of_a_new_thread()
    reranker = Reranker(tmp_path, backend="torch", device="cpu", threads=3)
    expected = reranker.rank(QUERY, DOCUMENTS[:40]).results
    with ThreadPoolExecutor(4) as pool:
        rankings = list(pool.map(lambda _: reranker.rank(QUERY, DOCUMENTS[:40]), range(8)))
    assert all(ranking.results == expected for ranking in rankings)
    assert (torch.get_num_threads(), threads_of_a_new_thread()) == (here, elsewhere)


# As above.
def test_each_pass_has_one_thread(tmp_path: Path) -> None:
    make_encoder("bert", tmp_path)
    path = tmp_path / "model.safetensors"
    backend = TorchBackend(path, device="cpu", precision="fp32", threads=2)
    run, seen = backend._network, []

    class Watched:
        def __call__(self, batch: Batch) -> Any:
            seen.append(torch.get_num_threads())
            return run(batch)

    backend._network = Watched()  # type: ignore[assignment]
    ids = np.full((2, 5), 5)
    with ThreadPoolExecutor(2) as pool:
        batches = [Batch(ids, np.ones_like(ids), np.zeros_like(ids))] * 4
        list(pool.map(backend.forward, batches))
    assert seen == [1, 1, 1, 1]


_FORK = """
import os, sys, torch
from resift import Reranker
torch.randn(512, 512) @ torch.randn(512, 512)
reranker = Reranker(sys.argv[1], backend="torch", device="cpu")
documents = ["Harbour " * n for n in range(1, 30)]
expected = reranker.rank("ferry", documents).results
child = os.fork()
if child == 0:
    assert reranker.rank("ferry", documents).results == expected
    sys.exit(0)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


# On the CPU alone: CUDA can't be used in a fork.
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_ranks(tmp_path: Path) -> None:
    make_encoder("bert", tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", _FORK, str(tmp_path)],
        timeout=100,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr


def test_nothing_is_printed(tmp_path: Path, device: str) -> None:
    make_encoder("bert", tmp_path)
    program = (
        "import sys; from resift import Reranker;"
        "Reranker(sys.argv[1], backend='torch', device=sys.argv[2]).rank('ferry', ['Harbour'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), device],
        timeout=100,
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_two_devices(tmp_path: Path, device: str) -> None:
    reference = make_encoder("bert", tmp_path)
    reranker = Reranker(tmp_path, backend="torch", devices=[device, device])
    ranking = reranker.rank(QUERY, DOCUMENTS)
    agree(ranking, reference.logits(QUERY, DOCUMENTS))
    assert ranking.device == f"{device}, {device}"
