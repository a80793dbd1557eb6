"""``Local``: the options of a model, as a scorer."""

from __future__ import annotations

import copy
import inspect
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest

from resift import InvalidRequestError, Reranker
from resift.options import LoadOptions, declared
from resift.scoring import Cascade, Fallback, Local, LocalScorer


def test_it_ranks_as_reranker_does(tiny: Path) -> None:
    documents = ["bad", "good", "a b"]
    expected = Reranker(tiny, backend="onnx").rank("a", documents)
    ranking = Reranker(scorer=Local(tiny, backend="onnx")).rank("a", documents)
    assert ranking.results == expected.results
    assert (ranking.model, ranking.backend, ranking.precision) == (
        expected.model, expected.backend, expected.precision,
    )  # fmt: skip


def test_it_prunes_as_reranker_does() -> None:
    documents = [f"{n} words on sorting a dictionary by value"[: 9 + n] for n in range(30)]
    options: dict[str, Any] = {"top_n": 3, "prune": "auto"}
    expected = Reranker().rank("sort a dictionary", documents, **options)
    ranking = Reranker(scorer=Local()).rank("sort a dictionary", documents, **options)
    assert ranking.counts.pruned_documents == expected.counts.pruned_documents > 0
    assert [each.model for each in ranking.stages] == ["resift-nano", "resift-small"]
    assert [each.model for each in expected.stages] == ["resift-nano", "resift-small"]
    assert ranking.stages[1].pairs == ranking.counts.pairs


def test_options_are_checked_when_it_is_made() -> None:
    with pytest.raises(TypeError, match="no such option: precison"):
        Local(precison="fp32")  # type: ignore[call-arg]
    for name in ("top_n", "prune", "on_timing", "scorer"):
        with pytest.raises(TypeError, match=name):
            Local(**{name: None})  # type: ignore[arg-type]
    with pytest.raises(InvalidRequestError, match="threads"):
        Local(threads=0)
    with pytest.raises(InvalidRequestError, match="model"):
        Local("")
    with pytest.raises(InvalidRequestError, match="abacus"):
        Local(backend="abacus")


def test_its_signature_shows_every_option() -> None:
    shown = inspect.signature(Local).parameters
    loading = {name for name in declared() if hasattr(LoadOptions(), name)} - {"on_timing"}
    assert set(shown) == {"pool", *loading}
    assert shown["backend"].default == "auto"


def test_it_shows_what_differs_from_the_default(tiny: Path) -> None:
    assert repr(Local()) == "Local('resift-small')"
    assert repr(Local(tiny, threads=1)) == f"Local({str(tiny)!r}, threads=1)"
    scorer = Fallback(Cascade([Local("resift-nano"), Local()], keep=[30]), Local("resift-nano"))
    shown = (
        "Fallback(Cascade([Local('resift-nano'), Local('resift-small')], keep=[30]), "
        "Local('resift-nano'))"
    )
    assert repr(scorer) == shown
    assert repr(Reranker(scorer=scorer)).endswith(f"scorer={shown})")
    # Nothing of what would load a model.
    assert "queue" not in repr(Reranker(scorer=scorer))


@pytest.mark.parametrize("make", [Local, lambda **each: LocalScorer(LoadOptions(**each))])
def test_a_token_is_neither_shown_nor_pickled(make: Any) -> None:
    scorer = make(token="hf_secret", model="owner/name")
    assert "hf_secret" not in repr(scorer)
    assert b"hf_secret" not in pickle.dumps(scorer)
    assert b"hf_secret" not in pickle.dumps(Reranker(scorer=scorer))
    assert "owner/name" in repr(pickle.loads(pickle.dumps(scorer)))


def test_a_copy_is_itself() -> None:
    scorer = Local(token="hf_secret")
    assert copy.copy(scorer) is copy.deepcopy(scorer) is scorer


def test_a_pickle_ranks(tiny: Path) -> None:
    scorer = Cascade([Local(tiny, backend="onnx"), Local(tiny, backend="onnx")], keep=[2])
    reranker = Reranker(scorer=scorer, normalization="none")
    again = pickle.loads(pickle.dumps(reranker))
    documents = ["bad", "good", "a b"]
    assert again.rank("a", documents).results == reranker.rank("a", documents).results


def test_what_it_needs_is_loaded_once_however_it_is_wrapped(
    tiny: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from resift.scoring import Cached

    local = Local(tiny, backend="onnx")
    Reranker(scorer=local).warm_up()
    with caplog.at_level(logging.WARNING):
        ranking = Reranker(scorer=Cached(local)).rank("a", ["good", "bad"])
    assert ranking.timings.load == 0
    assert not caplog.messages
