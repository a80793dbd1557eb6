"""Hard negatives: within their bounds, never a positive, and the same each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dataset_rows as rows
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resift import InvalidRequestError, Reranker
from resift.datasets import Negatives, TableRanker

POOL = [f"{text} w{n}" for n in range(5) for text in ("bad", "a b", "good", "a good")]


def mine(tiny: Path, folder: Path, given: list[Any], task: Negatives, **more: Any) -> list[Any]:
    source = rows.write_lines(folder / "in.jsonl", given)
    asked = rows.asked(tiny, task, columns={"positives": "positive", "id": None}, **more)
    rows.rerank(source, folder / "out", asked)
    return rows.output(folder / "out")


def one(tiny: Path, folder: Path, documents: Any, positive: Any, **bounds: Any) -> Any:
    row = {"query": "a", "documents": documents, "positive": positive}
    (found,) = mine(tiny, folder, [row], Negatives(**bounds))
    return found


@pytest.fixture(scope="module")
def scores(tiny: Path) -> dict[str, float]:
    return dict(zip(POOL, Reranker(tiny).score("a", POOL), strict=True))


def bounds() -> st.SearchStrategy[dict[str, Any]]:
    # Scores are from .2 to .9; bounds that leave something are those that tell.
    def some(*shares: float) -> st.SearchStrategy[float | None]:
        return st.one_of(st.none(), st.none(), st.sampled_from(shares))

    return st.fixed_dictionaries(
        {
            "count": st.one_of(st.none(), st.integers(1, 5)),
            "range_min": st.sampled_from([0, 0, 1, 2]),
            "range_max": st.one_of(st.none(), st.integers(3, 6)),
            "min_score": some(0.3, 0.4, 0.5),
            "max_score": some(0.5, 0.6, 0.8),
            "absolute_margin": some(0.0, 0.02, 0.1, 0.2),
            "relative_margin": some(0.0, 0.05, 0.2, 0.4),
        }
    )


@settings(max_examples=150, deadline=None)
@given(
    documents=st.lists(st.sampled_from(POOL), min_size=1, max_size=12),
    positives=st.lists(st.sampled_from(POOL), min_size=1, max_size=3),
    bounds=bounds(),
)
def test_they_are_what_the_definition_says(
    tiny: Path,
    scores: dict[str, float],
    documents: list[str],
    positives: list[str],
    bounds: dict[str, Any],
) -> None:
    from resift.datasets.lines import JsonLines, JsonRow

    asked = rows.asked(tiny, Negatives(**bounds), columns={"positives": "positive", "id": None})
    lines = JsonLines(asked.columns, asked.task)
    row = {"query": "a", "documents": documents, "positive": positives}
    ((outcome,), _) = asked.ranker().rank(lines.rows([JsonRow(1, b"", row)]))
    found = [(documents[each.index], each.score) for each in getattr(outcome, "results", ())]

    others = sorted({*documents} - {*positives}, key=lambda x: (-scores[x], documents.index(x)))
    positive = min(scores[each] for each in positives)
    most = [1.0 if bounds["max_score"] is None else bounds["max_score"]]
    if bounds["absolute_margin"] is not None:
        most.append(positive - bounds["absolute_margin"])
    if bounds["relative_margin"] is not None:
        most.append(positive * (1 - bounds["relative_margin"]))
    expected = [
        each
        for each in others[bounds["range_min"] : bounds["range_max"]]
        if (bounds["min_score"] or 0.0) <= scores[each] <= min(most)
    ]
    assert [text for text, _ in found] == expected[: bounds["count"]]
    assert [score for _, score in found] == pytest.approx([scores[x] for x, _ in found], abs=1e-6)


@pytest.mark.parametrize(
    "positive",
    ["good", ["good"], 1, [1], {"text": "good"}, [{"text": "good", "x": 1}], ["good", 1]],
    ids=str,
)
def test_a_positive_is_a_text_an_object_or_a_position(
    tiny: Path, tmp_path: Path, positive: Any
) -> None:
    found = one(tiny, tmp_path, ["bad", "good", "a", "good"], positive)
    assert found["negatives"] == ["a", "bad"]
    assert [each["index"] for each in found["negatives_ranking"]] == [2, 0]
    assert found["positive"] == positive


def test_a_positive_that_no_one_found_is_scored_for_the_margin(tiny: Path, tmp_path: Path) -> None:
    documents = [{"text": "a good", "id": 1}, {"text": "b", "id": 2}]
    found = one(tiny, tmp_path, documents, "w5", relative_margin=0.1)
    assert found["negatives"] == [{"text": "b", "id": 2}]


def test_scores_at_a_bound_are_within_it(tiny: Path, tmp_path: Path) -> None:
    # Its logit is 0, in any company.
    bounds = {"min_score": 0.5, "max_score": 0.5}
    assert one(tiny, tmp_path, ["bad", "a b", "a"], "good", **bounds)["negatives"] == ["a b"]


def test_the_lowest_positive_counts(tiny: Path, tmp_path: Path) -> None:
    found = one(tiny, tmp_path, ["a", "b"], ["good", "w0"], absolute_margin=0.0)
    assert found["negatives"] == ["b"]


def test_a_text_is_taken_once(tiny: Path, tmp_path: Path) -> None:
    found = one(tiny, tmp_path, ["b", "a", "b", "a"], "good", count=4)
    assert [each["index"] for each in found["negatives_ranking"]] == [1, 0]


def test_a_row_without_any_is_kept(tiny: Path, tmp_path: Path) -> None:
    found = one(tiny, tmp_path, ["good"], ["good"])
    assert (found["negatives"], found["negatives_ranking"]) == ([], [])


@pytest.mark.parametrize(
    ("positive", "said"),
    [
        (None, "no positives"),
        ([], "no positives"),
        (2, "the positive 2 isn't a position in 2 documents"),
        (-1, "isn't a position"),
        (True, "positives must be"),
        ([["good"]], "positives must be"),
        ({"body": "good"}, "positives must be"),
        ([None], "positives must be"),
    ],
    ids=str,
)
def test_other_positives_are_rejected(tiny: Path, tmp_path: Path, positive: Any, said: str) -> None:
    given = [{"query": "a", "documents": ["a", "b"], "positive": positive}]
    assert mine(tiny, tmp_path, given, Negatives()) == []
    (entry,) = rows.rejected(tmp_path / "out")
    assert said in entry["reason"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 0},
        {"range_min": -1},
        {"range_min": 3, "range_max": 3},
        {"relative_margin": 1.0},
        {"relative_margin": float("nan")},
        {"min_score": "a"},
        {"max_score": float("inf")},
    ],
    ids=str,
)
def test_bounds_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        Negatives(**wrong)


@pytest.mark.parametrize(
    "options",
    [
        {"normalization": "none"},
        {"max_documents": 3},
        {"score_threshold": 0.5},
        {"on_error": "first_stage"},
    ],
    ids=str,
)
def test_options_that_would_mislead_are_refused(tiny: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match=next(iter(options))):
        rows.asked(
            tiny, Negatives(relative_margin=0.1), columns={"positives": "p"}, options=options
        )


def test_tables_give_the_same_as_lines(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow as pa

    given = [
        {"query": "a", "documents": POOL[at : at + 7], "positive": [POOL[at + 2], "w9"]}
        for at in range(6)
    ]
    task = Negatives(count=2, absolute_margin=0.01)
    found = mine(tiny, tmp_path, given, task)
    asked = rows.asked(tiny, task, columns={"positives": "positive", "id": None})
    mined = TableRanker(asked)(pa.Table.from_pylist(given)).drop_columns("rejected")
    assert mined.to_pylist() == json.loads(json.dumps(found))
    assert any(row["negatives"] for row in found)
