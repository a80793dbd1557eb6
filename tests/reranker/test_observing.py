"""Calls that are observed, timed and cancelled."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from resift import Observer, Reranker
from resift.backends.onnx import OnnxBackend
from resift.text.batch import Batch


def test_phases_and_progress_are_observed(tiny: Path) -> None:
    from contextlib import contextmanager

    seen: list[str] = []

    class Recorder(Observer):
        @contextmanager
        def phase(self, name):  # type: ignore[no-untyped-def]
            seen.append(f"+{name}")
            yield
            seen.append(f"-{name}")

        def progress(self, done: int, total: int) -> None:
            seen.append(f"{done}/{total}")

    # With several threads, passes may end in another order.
    reranker = Reranker(tiny, max_batch_tokens=12, threads=1)
    reranker.rank("a", ["a", "b", "w1"], observer=Recorder())
    phases = ["+load", "-load", "+tokenize", "-tokenize", "+infer"]
    assert seen == [*phases, "0/3", "2/3", "3/3", "-infer", "+rank", "-rank"]


def test_errors_of_on_timing_are_raised(tiny: Path) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("metrics are down")

    with pytest.raises(RuntimeError, match="metrics are down"):
        Reranker(tiny, on_timing=fail).rank("a", ["a"])


def test_cancelling_stops_the_work(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, calls = OnnxBackend.forward, []
    started, go_on = threading.Event(), threading.Event()

    def slow(self: OnnxBackend, batch: Batch) -> np.ndarray:
        calls.append(batch)
        started.set()
        assert go_on.wait(30)
        return forward(self, batch)

    monkeypatch.setattr(OnnxBackend, "forward", slow)
    reranker = Reranker(tiny, max_batch_tokens=1)

    async def cancel() -> None:
        task = asyncio.create_task(reranker.arank("a", [f"w1 {'a ' * n}" for n in range(25)]))
        await asyncio.to_thread(started.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()

    asyncio.run(cancel())
    time.sleep(0.2)
    assert len(calls) < 10
