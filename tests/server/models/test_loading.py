"""Models of a server that are loaded on demand, one at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from server.models.configured import DOCUMENTS, QUERY, TWO, Make, loaded, logits

from resift.loading import opening
from resift.loading.model import LoadedModel


def test_a_model_is_loaded_when_it_is_needed_or_before(make: Make) -> None:
    models = make(TWO)
    models.find("nano").preload()
    assert loaded(models) == {"nano"}
    assert models.find("nano").reranker.rank(QUERY, DOCUMENTS).timings.load == 0
    assert models.find("small").reranker.rank(QUERY, DOCUMENTS).timings.load > 0
    assert loaded(models) == {"small", "nano"}


def test_a_deadline_holds_while_a_model_is_loaded(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, may_load = opening.load_model, threading.Event()
    monkeypatch.setattr(opening, "load_model", lambda x: may_load.wait(30) and load(x))
    models = make(TWO)
    nano, small = models.find("nano").reranker, models.find("small").reranker
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(small.rank, QUERY, DOCUMENTS)
        ranking = nano.rank(QUERY, DOCUMENTS, deadline_ms=20)
        assert (ranking.status, [each.score for each in ranking]) == ("partial", [None] * 4)
        assert [each.index for each in ranking] == [0, 1, 2, 3]
        assert not loaded(models)
        may_load.set()
        assert waiting.result().status == "complete"
    # It was loaded on.
    assert nano.rank(QUERY, DOCUMENTS, deadline_ms=60_000).status == "complete"


def test_a_model_that_failed_to_load_is_tried_again(make: Make, tmp_path: Path, tiny: Path) -> None:
    place = tmp_path / "later"
    models = make(f"[models.a]\nmodel = '{place}'\n[models.b]\ncached = 'a'\n")
    for name in ("a", "b"):
        with pytest.raises(Exception, match="later"):
            models.find(name).reranker.rank("a", ["good"])
    assert not loaded(models)
    place.symlink_to(tiny)
    assert models.find("b").reranker.rank("a", ["good"]).counts.scored == 1
    assert loaded(models) == {"a", "b"}


def test_one_load_at_a_time(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    load, now, most = opening.load_model, [0], [0]

    def watched(options: Any) -> LoadedModel:
        now[0] += 1
        most[0] = max(most[0], now[0])
        try:
            return load(options)
        finally:
            now[0] -= 1

    monkeypatch.setattr(opening, "load_model", watched)
    models = make(TWO)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: logits(models.find(("small", "nano")[n % 2]).reranker), range(8)))
    assert most == [1]
