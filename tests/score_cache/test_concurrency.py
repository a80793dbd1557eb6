"""A cache of scores that threads, processes and forks share."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from numbers_scorer import Numbers
from score_cache.caching import Place, facts, stores

from resift import Reranker
from resift.scoring import Cached, Local


@stores
def test_threads_share_a_cache(place: Place, tmp_path: Path, tiny: Path) -> None:
    local = Local(tiny, backend="onnx", max_batch_tokens=1)
    lists = [[f"w{n % 10} w{k}" for k in range(n % 7)] for n in range(60)]
    expected = [facts(Reranker(scorer=local).rank("a", texts)) for texts in lists]
    # Too small for all of them.
    reranker = Reranker(scorer=Cached(local, max_bytes=6000, **place(tmp_path)))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda texts: facts(reranker.rank("a", texts)), lists * 2))
    assert found == expected * 2


def _ranked(folder: str, cache: str, start: int) -> list[Any]:
    scorer = Cached(Local(folder, backend="onnx", max_batch_tokens=1, threads=1), folder=cache)
    reranker = Reranker(scorer=scorer)
    texts = [f"w{n % 10} " * (1 + n % 5) for n in range(start, start + 20)]
    return [facts(reranker.rank("a", texts[n % 10 :])) for n in range(20)]


def test_processes_share_a_file(tmp_path: Path, tiny: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(3, mp_context=context) as pool:
        futures = [
            pool.submit(_ranked, str(tiny), str(tmp_path / "cache"), start) for start in (0, 5, 10)
        ]
        found = [future.result(timeout=120) for future in futures]
    assert found == [_ranked(str(tiny), str(tmp_path / "own"), start) for start in (0, 5, 10)]
    scorer = Cached(Local(tiny, backend="onnx"), folder=tmp_path / "cache")
    # Two that the processes ranked, and one that none did.
    texts = ["w1 " * 2, "w9 " * 5, "w3 w4"]
    assert Reranker(scorer=scorer).rank("a", texts).counts.cached == 2


# From 3.12 on, Python warns of every fork of a program with threads: what this one does.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@stores
def test_a_fork_goes_on(place: Place, tmp_path: Path) -> None:
    scorer = Numbers(digest="d")
    reranker = Reranker(scorer=Cached(scorer, **place(tmp_path)), normalization="none")
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            reranker.rank("q", [str(random.randrange(100)) for _ in range(20)])

    # A thread holds the lock, or has the file open, when the process forks.
    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(10):
            time.sleep(0.005)
            pid = os.fork()
            if pid == 0:
                status = 1
                # A lock that was taken over would be waited for, for ever.
                signal.alarm(60)
                try:
                    texts = [str(n) for n in range(100)]
                    both = [reranker.rank("q", texts) for _ in range(2)]
                    right = all(r.logit == r.index for ranking in both for r in ranking)
                    status = 0 if right and both[1].counts.cached == 100 else 2
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        stop.set()
        thread.join()
