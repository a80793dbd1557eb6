"""A full queue: what is too much is refused at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from fair_queue.jobs import Model, job, logits, queue, wait_for
from numpy.typing import NDArray

from resift import OverloadedError, Reranker
from resift.backends.onnx import OnnxBackend
from resift.text.batch import Batch


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Forward passes wait for the second event; the first says that one has begun."""
    forward: Callable[[Any, Batch], NDArray[np.float32]] = OnnxBackend.forward
    begun, go = threading.Event(), threading.Event()

    def slow(self: OnnxBackend, batch: Batch) -> NDArray[np.float32]:
        begun.set()
        assert go.wait(timeout=20)
        return forward(self, batch)

    monkeypatch.setattr(OnnxBackend, "forward", slow)
    yield begun, go
    go.set()


def test_what_is_too_much_is_refused_at_once(model: Model) -> None:
    owner = queue(pairs=3, tokens=100)
    running = job(owner, model, [0])
    wait_for(model)
    waiting = job(owner, model, [1, 2])
    with pytest.raises(OverloadedError, match=r"2 pairs are waiting.*2 more.*max_queue_pairs=3"):
        job(owner, model, [3, 4])
    with pytest.raises(OverloadedError, match=r"2 tokens are waiting.*99 more"):
        job(owner, model, [3], length=99)
    with pytest.raises(OverloadedError, match="max_queue_pairs=3"):
        owner.check(2)
    owner.check(1)
    one_more = job(owner, model, [5])
    model.run_freely()
    assert [logits(each) for each in (running, waiting, one_more)] == [[0], [1, 2], [5]]
    # Alone, any job is let in.
    assert logits(job(owner, model, range(50))) == list(range(50))


def test_a_full_queue_refuses_a_call(
    tmp_path: Path, held: tuple[threading.Event, threading.Event]
) -> None:
    begun, go = held
    options: dict[str, Any] = {"backend": "onnx", "threads": 1, "max_batch_tokens": 1}
    reranker = Reranker(tiny_models.build(tmp_path / "m"), max_queue_pairs=4, **options)
    texts = [f"w{n}" for n in range(5)]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(reranker.rank, "a", texts)
        assert begun.wait(timeout=20)
        with pytest.raises(OverloadedError, match="max_queue_pairs=4"):
            reranker.rank("b", texts[:2])
        assert not waiting.done()
        go.set()
        assert len(waiting.result(timeout=20)) == 5
    assert len(reranker.rank("b", texts[:2])) == 2
