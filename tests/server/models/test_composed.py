"""Cascades, fallbacks and caches of a server, made of its models."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from server.models.configured import DOCUMENTS, QUERY, SHORT, TWO, Make, loaded

from resift import Ranking, Reranker
from resift.loading import opening
from resift.loading.model import LoadedModel


@contextmanager
def loads_counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the models that are loaded, in order."""
    load, names = opening.load_model, []

    def counted(options: Any) -> LoadedModel:
        names.append(options.model)
        return load(options)

    with monkeypatch.context() as patch:
        patch.setattr(opening, "load_model", counted)
        yield names


def agrees(got: Ranking, expected: Ranking) -> bool:
    """Whether two rankings are the same, but for how passes of several calls round."""
    return [each.index for each in got] == [each.index for each in expected] and [
        each.logit for each in got
    ] == pytest.approx([each.logit for each in expected], abs=1e-3)


COMPOSED = """
[models.first]
model = "resift-nano"
[models.second]
model = "resift-small"
[models.third]
model = "resift-nano"
normalization = "none"
[models.both]
cascade = ["first", "second"]
keep = [2]
[models.safe]
fallback = ["broken", "both"]
[models.broken]
model = "a-folder-that-is-not-there"
[models.kept]
cached = "both"
"""


def test_a_model_is_loaded_once_for_all_that_are_made_of_it(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = make(COMPOSED)
    with loads_counted(monkeypatch) as names:
        for name in ("both", "safe", "kept", "first", "second", "third"):
            models.find(name).reranker.rank(QUERY, DOCUMENTS)
    assert sorted(set(names)) == ["a-folder-that-is-not-there", "resift-nano", "resift-small"]
    assert (names.count("resift-nano"), names.count("resift-small")) == (1, 1)
    kinds = {each.name: each.kind for each in models.all}
    assert (kinds["both"], kinds["safe"], kinds["kept"]) == ("cascade", "fallback", "cached")
    assert models.find("both").loaded
    assert not models.find("safe").loaded


def test_what_is_made_of_models_ranks_as_they_do(make: Make) -> None:
    models = make(COMPOSED)
    both = models.find("both").reranker.rank(QUERY, DOCUMENTS)
    assert [each.model for each in both.stages] == ["resift-nano", "resift-small"]
    expected = dict(
        zip(range(4), Reranker().score(QUERY, DOCUMENTS, normalization="none"), strict=True)
    )
    assert {each.index: each.logit for each in both} == pytest.approx(
        {each.index: expected[each.index] for each in both}
    )
    assert len(both) == 2
    safe = models.find("safe").reranker.rank(QUERY, DOCUMENTS)
    assert (safe.results, safe.status) == (both.results, "fallback")
    kept = models.find("kept").reranker
    assert kept.rank(QUERY, DOCUMENTS).counts.cached == 0
    again = kept.rank(QUERY, DOCUMENTS)
    assert (again.counts.cached, again.counts.pairs, again.results) == (2, 0, both.results)


def test_evicting_goes_on_beneath_what_is_made_of_models(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = make(SHORT + COMPOSED)
    expected = make(COMPOSED).find("both").reranker.rank(QUERY, DOCUMENTS, prior="auto")
    assert expected.prior is not None
    with loads_counted(monkeypatch) as names:
        for name in ("both", "kept", "kept", "safe", "both"):
            ranking = models.find(name).reranker.rank(QUERY, DOCUMENTS, prior="auto")
            assert ranking.results == expected.results
            assert ranking.prior == expected.prior
            assert len(loaded(models) & {"first", "second"}) == 1
            if name == "kept":
                cached = ranking.counts.cached
    assert cached == 2
    assert names.count("resift-nano") > 1


def test_a_cache_around_one_model_survives_its_eviction(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    models = make(SHORT + TWO + '[models.kept]\ncached = "nano"\n')
    kept = models.find("kept")
    first = kept.reranker.rank(QUERY, DOCUMENTS)
    models.find("small").reranker.rank(QUERY, DOCUMENTS)
    assert not kept.loaded
    with caplog.at_level(logging.WARNING):
        again = kept.reranker.rank(QUERY, DOCUMENTS)
    assert (first.counts.cached, again.counts.cached) == (0, 4)
    assert again.results == first.results
    assert not [each for each in caplog.messages if "digest" in each]


def test_many_threads_get_right_scores_however_short_memory_is(make: Make) -> None:
    models = make(SHORT + COMPOSED)
    names = ["first", "second", "third", "both", "safe", "kept"]
    expected = {name: make(COMPOSED).find(name).reranker.rank(QUERY, DOCUMENTS) for name in names}
    wrong: list[str] = []

    def work(seed: int) -> None:
        chosen = random.Random(seed)
        for _ in range(6):
            name = chosen.choice(names)
            got = models.find(name).reranker.rank(QUERY, DOCUMENTS)
            if not agrees(got, expected[name]):
                wrong.append(name)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert not wrong
    # Nobody uses any now, so there is one.
    assert len(loaded(models) & {"first", "second"}) == 1
    residents = {id(r): r for each in models.all for r in each.residents}.values()
    assert [each.users for each in residents] == [0] * len(residents)
