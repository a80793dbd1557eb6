"""Loading of the model: once, when it is needed, and beside the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from haystack import Document
from haystack_integrations.components.rankers.resift import ResiftRanker

from resift.loading import opening
from resift.loading.model import LoadedModel
from resift.testing import QUERY, TEXTS

MakeDocuments = Callable[[], list[Document]]


def contents(result: dict[str, list[Document]]) -> list[str | None]:
    return [document.content for document in result["documents"]]


class SlowLoad:
    """``load_model``, counted and slow in a way that would hold up an event loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float = 0.0) -> None:
        self.calls = 0
        self.is_sleeping = False
        load = opening.load_model

        def slow_load(*arguments: Any, **keywords: Any) -> LoadedModel:
            self.calls += 1
            self.is_sleeping = True
            time.sleep(seconds)
            self.is_sleeping = False
            return load(*arguments, **keywords)

        monkeypatch.setattr(opening, "load_model", slow_load)


def turns(load: SlowLoad, work: Callable[[], Coroutine[Any, Any, Any]]) -> int:
    """Count the turns that others on the loop had while ``work`` loaded."""

    async def measure() -> int:
        task = asyncio.ensure_future(work())
        counted = 0
        while not task.done():
            await asyncio.sleep(0.001)
            counted += load.is_sleeping
        await task
        return counted

    return asyncio.run(measure())


def test_the_model_is_loaded_once_and_not_at_construction(
    monkeypatch: pytest.MonkeyPatch, make_documents: MakeDocuments
) -> None:
    load = SlowLoad(monkeypatch)
    ranker = ResiftRanker()
    ranker.run(QUERY, [])
    assert load.calls == 0
    for _ in range(2):
        ranker.warm_up()
        asyncio.run(ranker.warm_up_async())
        ranker.run(QUERY, make_documents())
    assert load.calls == 1


def test_run_needs_no_warm_up(make_documents: MakeDocuments) -> None:
    assert contents(ResiftRanker().run(QUERY, make_documents()))[0] == TEXTS[0]


def test_warm_up_is_cheap_when_loaded() -> None:
    ranker = ResiftRanker()
    ranker.warm_up()
    start = time.thread_time()
    for _ in range(1000):
        ranker.warm_up()
    assert time.thread_time() - start < 0.5


def test_warm_up_async_does_not_block_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    load = SlowLoad(monkeypatch, seconds=0.5)
    assert turns(load, ResiftRanker().warm_up_async) > 1
    assert load.calls == 1


def test_a_cold_run_async_does_not_block_the_loop(
    monkeypatch: pytest.MonkeyPatch, make_documents: MakeDocuments
) -> None:
    load = SlowLoad(monkeypatch, seconds=0.5)
    assert turns(load, lambda: ResiftRanker().run_async(QUERY, make_documents())) > 1
    assert load.calls == 1
