"""Rankings by ``Reranker``: their order, and what they say of how they were made."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path

import pytest
import tiny_models
from reranker.inputs import DOCUMENTS
from tiny_models import logit

import resift
from resift import Reranker
from resift.text.batch import Batch


def test_documents_are_ordered_by_logit(tiny: Path) -> None:
    ranking = Reranker(tiny).rank("a", DOCUMENTS)
    assert [result.index for result in ranking] == [1, 4, 2, 3, 0]
    for result in ranking:
        assert result.logit == logit(DOCUMENTS[result.index])
        assert result.score == pytest.approx(1 / (1 + math.exp(-result.logit)), abs=1e-12)
        assert type(result.index) is int
        assert type(result.logit) is float
        assert type(result.score) is float
        assert result.truncated_tokens == 0


def test_a_ranking_says_how_it_was_made(tiny: Path) -> None:
    ranking = Reranker(tiny, max_batch_tokens=12).rank("a", [*DOCUMENTS, "a"], top_n=2)
    assert ranking.model == str(tiny)
    assert ranking.revision is None
    assert (ranking.backend, ranking.precision, ranking.status) == ("onnx", "fp32", "complete")
    assert len(ranking) == 2
    assert ranking[0] == next(iter(ranking))
    assert ranking[:1] == (ranking[0],)
    counts = ranking.counts
    assert (counts.documents, counts.pairs, counts.truncated_documents) == (6, 5, 0)
    assert counts.tokens == sum(tiny_models.SPECIALS + 1 + len(d.split()) for d in DOCUMENTS)
    assert counts.padded_tokens == 2 * 6 + 2 * 5 + 5
    timings = ranking.timings
    phases = [timings.load, timings.tokenize, timings.infer, timings.rank]
    assert all(seconds > 0 for seconds in phases)
    assert sum(phases) <= timings.total
    assert json.loads(json.dumps(ranking.to_dict())) == ranking.to_dict()
    assert ranking.to_dict()["results"][0]["index"] == 1


def test_padding_is_counted(tiny: Path) -> None:
    ranking = Reranker(tiny, max_batch_tokens=1000).rank("a", ["good", "a " * 10, "bad bad"])
    assert ranking.counts.tokens == 5 + 14 + 6
    assert ranking.counts.padded_tokens == 3 * 14


def test_load_time_is_reported_once(tiny: Path) -> None:
    reranker = Reranker(tiny)
    assert reranker.rank("a", ["a"]).timings.load > 0
    assert reranker.rank("a", ["a"]).timings.load == 0
    warm = Reranker(tiny)
    warm.warm_up()
    assert warm.rank("a", ["a"]).timings.load == 0


def test_a_ranking_without_documents_is_empty(tiny: Path) -> None:
    ranking = Reranker(tiny / "not-there").rank("a", [])
    assert list(ranking) == []
    assert (ranking.precision, ranking.revision, ranking.status) == (None, None, "complete")
    assert ranking.counts == resift.Counts()


def test_each_text_is_forwarded_once(tiny: Path, forwarded: list[Batch]) -> None:
    ranking = Reranker(tiny).rank("a", ["good", "bad", "good", None, "", "bad"])
    assert ranking.counts.pairs == 3
    assert sum(len(batch.input_ids) for batch in forwarded) == 3
    assert [result.index for result in ranking] == [0, 2, 3, 4, 1, 5]


def test_score_keeps_everything_in_order(tiny: Path) -> None:
    reranker = Reranker(tiny, score_threshold=0.99)
    assert len(reranker.rank("a", DOCUMENTS)) == 0
    expected = [1 / (1 + math.exp(-logit(document))) for document in DOCUMENTS]
    assert reranker.score("a", DOCUMENTS) == pytest.approx(expected, abs=1e-9)
    assert asyncio.run(reranker.ascore("a", DOCUMENTS)) == reranker.score("a", DOCUMENTS)
    requests = [("a", DOCUMENTS), ("b", []), ("w1", DOCUMENTS[::-1])]
    apart = [reranker.score(query, documents) for query, documents in requests]
    assert reranker.score_many(requests) == apart
    assert asyncio.run(reranker.ascore_many(requests)) == apart
