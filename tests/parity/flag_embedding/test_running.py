"""Batches, threads, devices, and what a program prints."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from parity.agreeing import agree
from parity.encoders import torch
from parity.flag_embedding.rerankers import PAIRS, QUERY, Reference, logits, make

import resift.backends.flag_embedding as module
from resift import Reranker


def test_neighbours_change_nothing(reference: Reference) -> None:
    documents = PAIRS[:40]
    alone = np.concatenate([logits(reference.folder, QUERY, [text]) for text in documents])
    order = list(range(len(documents)))
    for seed in range(3):
        Random(seed).shuffle(order)
        shuffled = [documents[index] for index in order]
        together = logits(reference.folder, QUERY, shuffled, max_batch_tokens=100_000)
        np.testing.assert_allclose(together, alone[order], rtol=0, atol=1e-5)


def test_each_pair_is_forwarded_once_in_bounded_batches(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []
    call = module.LayerNetwork.__call__

    def record(self: Any, batch: Any) -> Any:
        shapes.append(batch.input_ids.shape)
        return call(self, batch)

    monkeypatch.setattr(module.LayerNetwork, "__call__", record)
    documents = list(dict.fromkeys(PAIRS))
    Reranker(reference.folder, max_batch_tokens=2000).rank(QUERY, documents)
    assert sum(rows for rows, _ in shapes) == len(documents)
    assert max(rows * length for rows, length in shapes) <= 2000


def test_threads_share_a_backend_and_keep_their_number(reference: Reference) -> None:
    documents = PAIRS[:40]
    before = torch.get_num_threads()
    reranker = Reranker(reference.folder, threads=3)
    expected = reranker.rank(QUERY, documents).results
    with ThreadPoolExecutor(4) as pool:
        rankings = list(pool.map(lambda _: reranker.rank(QUERY, documents), range(8)))
    assert all(ranking.results == expected for ranking in rankings)
    assert torch.get_num_threads() == before


def test_two_devices(tmp_path: Path) -> None:
    reference = make("gemma2", tmp_path)
    reranker = Reranker(tmp_path, devices=["cpu", "cpu"], max_batch_tokens=500)
    agree(reranker.rank(QUERY, PAIRS[:40]), reference.scores(QUERY, PAIRS[:40]))


def test_nothing_is_printed(reference: Reference) -> None:
    program = (
        "import sys; from resift import Reranker;"
        "Reranker(sys.argv[1]).rank('ferry', ['Harbour', 'ferry boat'])"
    )
    command = [sys.executable, "-c", program, str(reference.folder)]
    done = subprocess.run(command, timeout=100, capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
