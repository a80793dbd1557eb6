"""Models of a server, found by name; each ranks as it does alone, with defaults of its own."""

from __future__ import annotations

import pytest
from remote.loopback import failing, serve
from server.models.configured import DOCUMENTS, QUERY, TWO, Make, loaded, logits

from resift import InvalidRequestError, Reranker


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
