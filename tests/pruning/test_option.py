"""The option ``prune``: when it does nothing, and what is refused beside it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from pruning.estimated import TEXTS

from resift import InvalidRequestError, Reranker
from resift.text.batch import Batch


def test_a_model_without_an_estimator_is_ranked_in_full(tiny: Path) -> None:
    ranking = Reranker(tiny, backend="onnx").rank("a", TEXTS, top_n=2, prune="auto")
    assert [each.index for each in ranking] == [9, 8]
    assert (ranking.counts.pruned_documents, ranking.status) == (0, "complete")


@pytest.mark.parametrize("top_n", [None, 4, len(TEXTS), 100])
def test_few_documents_are_not_estimated(
    model: Path, top_n: int | None, forwarded: list[Batch]
) -> None:
    reranker = Reranker(model, backend="onnx")
    ranking = reranker.rank("a", TEXTS, top_n=top_n, prune="auto")
    assert len(ranking) == min(top_n or 100, len(TEXTS))
    assert ranking.counts.pruned_documents == 0
    # Beside the golden pair, as the estimator isn't even read.
    assert sum(len(batch.input_ids) for batch in forwarded) == len(TEXTS) + 1


def test_score_gives_all_scores(model: Path) -> None:
    reranker = Reranker(model, backend="onnx", prune="auto")
    assert reranker.score("a", TEXTS) == Reranker(model, backend="onnx").score("a", TEXTS)
    assert sum(reranker.score("a", TEXTS, normalization="softmax")) == pytest.approx(1)
    with pytest.raises(TypeError, match="prune"):
        reranker.score("a", TEXTS, prune="auto")  # type: ignore[call-arg]


def test_a_call_may_turn_pruning_off(model: Path) -> None:
    reranker = Reranker(model, backend="onnx", prune="auto")
    assert reranker.rank("a", TEXTS, top_n=2, prune="off").counts.pruned_documents == 0
    whole = Reranker(model, prune="off").rank("a", TEXTS, top_n=2, normalization="softmax")
    assert whole.counts.pruned_documents == 0


@pytest.mark.parametrize("given", ["always", "", True, 3])
def test_invalid_values_are_refused(model: Path, given: Any) -> None:
    with pytest.raises(InvalidRequestError, match="prune"):
        Reranker(model, prune=given)
    with pytest.raises(InvalidRequestError, match="prune"):
        Reranker(model).rank("a", TEXTS, prune=given)


@pytest.mark.parametrize("normalization", ["softmax", "minmax"])
def test_scores_over_all_documents_need_all(model: Path, normalization: Any) -> None:
    message = f"normalization='{normalization}' needs the logits of all documents"
    with pytest.raises(InvalidRequestError, match=message):
        Reranker(model, prune="auto", normalization=normalization)
    with pytest.raises(InvalidRequestError, match=message):
        Reranker(model, prune="auto").rank("a", TEXTS, normalization=normalization)
    with pytest.raises(InvalidRequestError, match=message):
        Reranker(model, normalization=normalization).rank("a", TEXTS, prune="auto")


def test_prune_is_one_of_the_options(model: Path) -> None:
    reranker = Reranker(model, prune="auto")
    assert reranker.options["prune"] == "auto"
    assert pickle.loads(pickle.dumps(reranker)).options == reranker.options
    assert "prune" not in Reranker(model).options
