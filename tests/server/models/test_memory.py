"""Models of a server that are evicted when memory is short."""

from __future__ import annotations

import gc
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from server.models.configured import DOCUMENTS, QUERY, SHORT, TWO, Make, loaded, logits
from server.running import until

from resift import Observer, Reranker
from resift.loading import opening
from resift.loading.model import LoadedModel
from resift.server import memory


def model_objects() -> int:
    return sum(isinstance(each, LoadedModel) for each in gc.get_objects())


# To the server, each is another model: of some 8 MB, by its files.
THREE = "".join(
    f'[models.m{n}]\nmodel = "resift-nano"\nmax_batch_tokens = {n}000\n' for n in (1, 2, 3)
)


def test_what_was_used_longest_ago_goes_first(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_resident_bytes", lambda: 0)
    models = make("[server]\nmemory_mb = 20\n" + THREE)
    for name in ("m1", "m2", "m1", "m3"):
        models.find(name).preload()
    assert loaded(models) == {"m1", "m3"}
    models.find("m2").preload()
    assert loaded(models) == {"m3", "m2"}
    roomy = make("[server]\nmemory_mb = 25\n" + THREE)
    for served in roomy.all:
        served.preload()
    assert loaded(roomy) == {"m1", "m2", "m3"}


def test_a_model_takes_what_memory_grows_by(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    models = make("[server]\nmemory_mb = 250\n" + THREE)
    grown = iter(range(0, 10**10, 10**8))
    monkeypatch.setattr(memory, "_resident_bytes", lambda: next(grown))
    for name in ("m1", "m2", "m3"):
        models.find(name).preload()
    assert loaded(models) == {"m2", "m3"}
    # What it took before is expected of it again, even where memory doesn't grow.
    monkeypatch.setattr(memory, "_resident_bytes", lambda: 0)
    models.find("m1").preload()
    assert loaded(models) == {"m3", "m1"}
    models.find("m2").preload()
    assert loaded(models) == {"m1", "m2"}


def test_room_is_made_before_a_model_is_loaded_again(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, beside = opening.load_model, []

    def watched(options: Any) -> LoadedModel:
        beside.append(len(loaded(models)))
        return load(options)

    monkeypatch.setattr(memory, "_resident_bytes", lambda: 0)
    monkeypatch.setattr(opening, "load_model", watched)
    models = make("[server]\nmemory_mb = 20\n" + THREE)
    for name in ("m1", "m2", "m3", "m1", "m2"):
        models.find(name).preload()
    assert beside == [0, 1, 2, 1, 1]


def test_what_is_evicted_is_gone(make: Make) -> None:
    models = make(SHORT + TWO)
    gc.collect()
    before = model_objects()
    for name in ("small", "nano", "small"):
        models.find(name).reranker.rank(QUERY, DOCUMENTS)
        # The thread of its last pass may not have let go of it yet.
        until(lambda: gc.collect() >= 0 and model_objects() - before == 1)


def test_a_model_larger_than_the_budget_is_loaded_all_the_same(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    models = make(SHORT + TWO)
    with caplog.at_level(logging.WARNING):
        for name in ("small", "small", "nano", "small"):
            assert logits(models.find(name).reranker)
            assert loaded(models) == {name}
    # What was known of it still is.
    assert models.find("nano").reranker.rank(QUERY, []).precision is not None
    assert loaded(models) == {"small"}
    warned = [each for each in caplog.messages if "memory_mb allows 1.0 MB" in each]
    assert [each.split()[0] for each in warned] == ["resift-small", "resift-nano"]


def test_a_model_in_use_is_not_evicted(make: Make) -> None:
    models = make(SHORT + TWO)
    inside, go_on = threading.Event(), threading.Event()

    class Held(Observer):
        def progress(self, done: int, total: int) -> None:
            inside.set()
            assert go_on.wait(30)

    small, nano = models.find("small"), models.find("nano")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(small.reranker.rank, QUERY, DOCUMENTS, observer=Held())
        assert inside.wait(30)
        assert logits(nano.reranker)
        # Both, as one is in use.
        assert loaded(models) == {"small", "nano"}
        go_on.set()
        assert [each.logit for each in first.result()] == logits(Reranker())
    # Now one of them is enough.
    assert loaded(models) == {"nano"}
