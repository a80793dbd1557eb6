"""The first documents alone, by ``max_documents``."""

from __future__ import annotations

import pytest
from deadlines.unscored import TEXTS, unscored
from rankings import order

from resift import Reranker
from resift.cli.main import main


@pytest.mark.parametrize("most", [1, 3, 10, 50])
def test_documents_beyond_max_documents_follow(reranker: Reranker, most: int) -> None:
    ranking = reranker.rank("a", TEXTS, max_documents=most)
    first = min(most, 10)
    assert order(ranking) == [*range(first - 1, -1, -1), *range(first, 10)]
    assert unscored(ranking) == [*range(first, 10)]
    assert ranking.counts.pairs == ranking.counts.scored == first
    assert ranking.status == ("complete" if most >= 10 else "partial")
    assert ranking.counts.pruned_documents == 0


def test_the_place_counts_for_max_documents_and_not_the_text(reranker: Reranker) -> None:
    ranking = reranker.rank("a", ["w1", "w1", "w2", "w1"], max_documents=2)
    assert unscored(ranking) == [2, 3]
    assert ranking.counts.pairs == 1


def test_a_prior_and_the_first_documents_go_together(reranker: Reranker) -> None:
    scores = [float(10 - n) for n in range(10)]
    ranking = reranker.rank("a", TEXTS, max_documents=4, prior=5.0, first_stage_scores=scores)
    assert order(ranking) == list(range(10))
    assert unscored(ranking) == [4, 5, 6, 7, 8, 9]


def test_a_command_line_shows_what_was_not_scored(
    reranker: Reranker, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["rank", "-m", str(reranker.options["model"]), "--backend", "onnx", "a", *TEXTS[:3]]
    assert main([*base, "--max-documents", "1", "--deadline-ms", "60000"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[2:4]] == ["-", "-"]
    assert "partial" in lines[-1]
