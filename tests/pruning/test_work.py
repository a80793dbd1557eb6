"""Work that ``prune="auto"`` does and saves, and how it is counted."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pruning.estimated import PRUNED, SURVIVORS, TEXTS, estimator_of
from rankings import facts

from resift import Observer, Reranker, TimingEvent
from resift.backends.onnx import OnnxBackend
from resift.loading import opening
from resift.loading.model import LoadedModel
from resift.options import LoadOptions
from resift.text.batch import Batch
from resift.text.tokenizer import PairTokenizer


def test_only_survivors_get_the_whole_model(reranker: Reranker, forwarded: list[Batch]) -> None:
    reranker.rank("a", TEXTS, top_n=2, prune="auto")
    # Where it was loaded only now, golden pairs, too.
    forwarded.clear()
    reranker.rank("a", TEXTS, top_n=2, prune="auto")
    assert sum(len(batch.input_ids) for batch in forwarded) == len(TEXTS) + SURVIVORS
    forwarded.clear()
    ranking = reranker.rank("a", TEXTS, top_n=2)
    assert sum(len(batch.input_ids) for batch in forwarded) == len(TEXTS)
    assert ranking.counts.pruned_documents == 0


def test_texts_are_tokenized_once(reranker: Reranker, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenized: list[str] = []
    tokenize = PairTokenizer.tokenize

    def counted(self: PairTokenizer, query: str, texts: Sequence[str], **options: Any) -> Any:
        tokenized.extend(texts)
        return tokenize(self, query, texts, **options)

    reranker.rank("a", TEXTS, top_n=2, prune="auto")  # a first ranking also tests the models
    monkeypatch.setattr(PairTokenizer, "tokenize", counted)
    assert reranker.rank("a", TEXTS, top_n=2, prune="auto").counts.pruned_documents == PRUNED
    assert tokenized == TEXTS


def test_threads_agree_and_load_once(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str] = []
    load = opening.load_model

    def counted(options: LoadOptions) -> LoadedModel:
        loads.append(Path(options.model).name)
        return load(options)

    monkeypatch.setattr(opening, "load_model", counted)
    reranker = Reranker(model, backend="onnx", prune="auto")
    lists = [TEXTS[n % 5 :] for n in range(32)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda texts: facts(reranker.rank("a", texts, top_n=2)), lists))
    assert found == [facts(reranker.rank("a", texts, top_n=2)) for texts in lists]
    assert loads == [model.name, estimator_of(model).name]


def test_estimates_count_among_the_threads(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_a_time: list[int] = []
    running = 0

    def forward(self: OnnxBackend, batch: Batch) -> NDArray[np.float32]:
        nonlocal running
        running += 1
        at_a_time.append(running)
        time.sleep(0.001)
        running -= 1
        return np.arange(len(batch.input_ids), dtype=np.float32)[:, None]

    reranker = Reranker(model, backend="onnx", prune="auto", threads=1, max_batch_tokens=1)
    reranker.warm_up()
    monkeypatch.setattr(OnnxBackend, "forward", forward)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: reranker.rank("a", TEXTS, top_n=2), range(8)))
    assert set(at_a_time) == {1}
    assert len(at_a_time) > 8 * len(TEXTS)


def test_progress_rises_to_all_pairs(reranker: Reranker) -> None:
    seen: list[tuple[int, int]] = []

    class Watcher(Observer):
        def progress(self, done: int, total: int) -> None:
            seen.append((done, total))

    reranker.rank("a", TEXTS, top_n=2, prune="auto", observer=Watcher())
    assert {total for _, total in seen} == {len(TEXTS)}
    done = [each for each, _ in seen]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, len(TEXTS))
    # Those that were pruned are done when the estimates are.
    assert PRUNED in done


def test_the_event_counts_pruned_documents(model: Path) -> None:
    events: list[TimingEvent] = []
    reranker = Reranker(model, backend="onnx", on_timing=events.append, prune="auto")
    reranker.rank("a", TEXTS, top_n=2)
    assert events[0].pruned_documents == PRUNED
    assert json.loads(json.dumps(events[0].to_dict()))["pruned_documents"] == PRUNED
