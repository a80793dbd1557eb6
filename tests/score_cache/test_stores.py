"""Stores of scores, in memory and on disk: what they give back, and how large they become."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
from score_cache.caching import Place, stores

from resift.scoring.disk import Disk
from resift.scoring.stores import Entry, Memory, Store


def entries(start: int, stop: int) -> dict[bytes, Entry]:
    return {n.to_bytes(32, "big"): Entry(n / 8, n, n % 2 == 1) for n in range(start, stop)}


@stores
def test_a_store_gives_back_what_it_was_given(place: Place, tmp_path: Path) -> None:
    store: Store = Disk(tmp_path, 10**6) if place(tmp_path) else Memory(10**6)
    assert store.get(entries(0, 3)) == {}
    store.put(entries(0, 1200))
    assert store.get(entries(0, 1300)) == entries(0, 1200)
    assert store.get([]) == {}
    store.put({})
    extreme = {b"x" * 32: Entry(float(np.finfo(np.float32).max), 2**40, True)}
    store.put(extreme)
    assert store.get(extreme) == extreme


def test_memory_keeps_what_was_used_last() -> None:
    store = Memory(10 * Memory.ENTRY_BYTES)
    store.put(entries(0, 10))
    assert store.get(entries(0, 2)) == entries(0, 2)
    store.put(entries(10, 16))
    assert store.get(entries(0, 20)) == {**entries(0, 2), **entries(8, 16)}


def test_the_disk_keeps_what_was_written_last(tmp_path: Path) -> None:
    store = Disk(tmp_path, 10 * Disk.ENTRY_BYTES)
    store.put(entries(0, 10))
    store.put(entries(5, 8))
    store.put(entries(10, 16))
    assert store.get(entries(0, 20)) == entries(6, 16)


def test_memory_stays_below_its_bound() -> None:
    bound = 5 * 2**20
    tracemalloc.start()
    try:
        store = Memory(bound)
        before = tracemalloc.get_traced_memory()[0]
        for start in range(0, 60_000, 100):
            store.put({os.urandom(32): Entry(n / 7, n, False) for n in range(start, start + 100)})
        grown = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert 0.5 * bound < grown <= bound


def test_the_file_stays_below_its_bound(tmp_path: Path) -> None:
    bound = 2**20
    store = Disk(tmp_path, bound)
    sizes = []
    for start in range(0, 30_000, 500):
        store.put({os.urandom(32): Entry(n / 7, n, False) for n in range(start, start + 500)})
        sizes.append(sum(each.stat().st_size for each in tmp_path.iterdir()))
    assert 0.5 * bound < max(sizes) <= bound
