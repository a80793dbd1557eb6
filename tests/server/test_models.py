"""The models of a server: found by name, loaded on demand, evicted when memory is short."""

from __future__ import annotations

import gc
import logging
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from remote.loopback import failing, serve
from server.running import until

from resift import InvalidRequestError, Observer, Ranking, Reranker
from resift.loading import opening
from resift.loading.model import LoadedModel
from resift.server import memory
from resift.server.config import Config
from resift.server.models import Models

QUERY = "how do I sort a dictionary by value"
DOCUMENTS = [
    "Bread rises because yeast turns sugar into carbon dioxide.",
    "Use sorted with a key function to sort a dictionary by value.",
    "The museum is closed on Mondays.",
    "A list can be sorted in place with its sort method.",
]

TWO = """
[models.small]
model = "resift-small"
aliases = ["rerank-v3.5", "BAAI/bge-reranker-v2-m3"]
default = true
[models.nano]
model = "resift-nano"
"""
SHORT = "[server]\nmemory_mb = 1\n"

Make = Callable[[str], Models]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def of(text: str) -> Models:
        path = tmp_path / "resift.toml"
        path.write_text(text, encoding="utf-8")
        return Models(Config.read(path))

    return of


def loaded(models: Models) -> set[str]:
    return {each.name for each in models.all if each.loaded}


def model_objects() -> int:
    return sum(isinstance(each, LoadedModel) for each in gc.get_objects())


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


def logits(reranker: Reranker, **options: Any) -> list[float | None]:
    return [each.logit for each in reranker.rank(QUERY, DOCUMENTS, **options)]


def agrees(got: Ranking, expected: Ranking) -> bool:
    """Whether two rankings are the same, but for how passes of several calls round."""
    return [each.index for each in got] == [each.index for each in expected] and [
        each.logit for each in got
    ] == pytest.approx([each.logit for each in expected], abs=1e-3)


def test_a_model_is_found_by_name_alias_and_otherwise(make: Make) -> None:
    models = make(TWO)
    for name in ("small", "rerank-v3.5", "BAAI/bge-reranker-v2-m3", None, "gpt-4", "Nano", ""):
        assert models.find(name).name == "small", name
    nano = models.find("nano")
    assert (nano.name, nano.kind, nano.aliases, nano.default) == ("nano", "local", (), False)
    small = models.find("small")
    assert (small.default, small.aliases) == (True, ("rerank-v3.5", "BAAI/bge-reranker-v2-m3"))
    assert [each.name for each in models.all] == ["small", "nano"]


def test_names_may_be_all_there_is(make: Make) -> None:
    models = make("[server]\nstrict_models = true\n" + TWO)
    assert models.find(None).name == models.find("rerank-v3.5").name == "small"
    with pytest.raises(InvalidRequestError, match=r"no model 'smal'; did you mean 'small'\?") as e:
        models.find("smal")
    for name in ("nano", "rerank-v3.5", "BAAI/bge-reranker-v2-m3"):
        assert name in str(e.value)


def test_each_ranks_as_its_model_does(make: Make) -> None:
    models = make(TWO)
    assert not loaded(models)
    for name in ("small", "nano"):
        served = models.find(name)
        expected = Reranker(f"resift-{name}")
        assert logits(served.reranker) == logits(expected)
        ranking = served.reranker.rank(QUERY, DOCUMENTS, top_n=1, prune="auto")
        assert ranking.results == expected.rank(QUERY, DOCUMENTS, top_n=1, prune="auto").results
        assert ranking.model == f"resift-{name}"
    assert loaded(models) == {"small", "nano"}


def test_a_model_has_defaults_of_its_own(make: Make) -> None:
    models = make(
        '[options]\nnormalization = "none"\nmax_length = 20\n'
        + TWO
        + 'max_length = 30\nprune = "auto"\ndeadline_ms = 1e6\n'
    )
    small, nano = (models.find(name).reranker.options for name in ("small", "nano"))
    assert (small["normalization"], small["max_length"]) == ("none", 20)
    assert (nano["normalization"], nano["max_length"]) == ("none", 30)
    assert (nano["prune"], nano["deadline_ms"]) == ("auto", 1e6)
    ranking = models.find("nano").reranker.rank(QUERY, ["sort " * 100])
    assert ranking[0].truncated_tokens > 0
    assert ranking[0].score == ranking[0].logit


def test_a_model_is_loaded_when_it_is_needed_or_before(make: Make) -> None:
    models = make(TWO)
    models.find("nano").preload()
    assert loaded(models) == {"nano"}
    assert models.find("nano").reranker.rank(QUERY, DOCUMENTS).timings.load == 0
    assert models.find("small").reranker.rank(QUERY, DOCUMENTS).timings.load > 0
    assert loaded(models) == {"small", "nano"}


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


def test_a_remote_model(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIR_KEY", "sk-1")
    with serve("cohere") as server:
        far = f"remote = '{server.url}'\nprotocol = 'cohere'\nmodel = 'm'\nkey_env = 'THEIR_KEY'\n"
        models = make(
            f"[models.far]\n{far}attempts = 1\n"
            '[models.near]\nmodel = "resift-nano"\n'
            '[models.safe]\nfallback = ["far", "near"]\n'
        )
        served = models.find(None)
        assert (served.kind, served.loaded) == ("remote", True)
        assert [each.index for each in served.reranker.rank("q", ["1", "9", "5"])] == [1, 2, 0]
        assert server.headers[0]["authorization"] == "Bearer sk-1"
        assert server.bodies[0]["model"] == "m"
        safe = models.find("safe")
        assert safe.reranker.rank("q", ["1", "9"]).model == "m"
        assert not safe.loaded
        server.always = failing("cohere", 500)
        ranking = safe.reranker.rank("q", ["1", "9"])
        assert (ranking.model, ranking.status) == ("resift-nano", "fallback")
        assert safe.loaded


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
