"""Arrow tables: any form of lists and texts has the engine's scores, and keeps its type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dataset_rows as rows
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resift import InvalidRequestError, Reranker
from resift.datasets import Rank, Score, TableRanker, Task

pytest.importorskip("pyarrow")

import pyarrow as pa
from dataset_tables import QUERIES, TEXTS, expected, table


def shapes() -> dict[str, Any]:
    """The same documents, in all forms that Arrow has for lists and texts."""
    flat: list[Any] = [{"text": t, "at": 3} for t in ("bad", "good", None)]
    objects = [flat, [], None, [flat[0]], [{"text": "b", "at": 1}, {"text": "good", "at": None}]]
    whole = pa.array(TEXTS, pa.list_(pa.string()))
    return {
        "list": whole,
        "large": pa.array(TEXTS, pa.large_list(pa.large_string())),
        "dictionary": pa.array(TEXTS, pa.list_(pa.dictionary(pa.int32(), pa.string()))),
        "sliced": pa.concat_arrays([pa.array([["x"], ["y", "z"]]), whole])[2:],
        "objects": pa.array(
            objects, pa.list_(pa.struct([("text", pa.string()), ("at", pa.timestamp("ns"))]))
        ),
    }


@pytest.mark.parametrize("shape", shapes())
@pytest.mark.parametrize("name", ["documents", "best"])
def test_documents_have_any_form_of_list_and_keep_it(tiny: Path, shape: str, name: str) -> None:
    given = shapes()[shape]
    ranker = TableRanker(rows.asked(tiny, Rank(top_n=1, documents_into=name), columns={"id": None}))
    found = ranker(table(given))
    assert found.num_rows == 5
    assert found.column("ranking").to_pylist() == [
        *expected(tiny, top_n=1)[:2],
        None,
        None,
        expected(tiny, top_n=1)[2],
    ]
    assert found.schema.field(name).type == given.type
    best = (
        given.to_pylist()
        if shape != "objects"
        else [
            each and [x["text"] for x in each]
            for each in given.cast(
                pa.list_(pa.struct([("text", pa.string()), ("at", pa.int64())]))
            ).to_pylist()
        ]
    )
    column = found.column(name).combine_chunks()
    if shape == "objects":
        kept = pa.compute.struct_field(column.flatten(), "text").to_pylist()
    else:
        kept = column.flatten().to_pylist()
    assert kept == [best[0][1], best[4][1]]
    assert column.is_null().to_pylist() == [False, False, True, True, False]
    assert [each is None for each in found.column("rejected").to_pylist()] == [
        True,
        True,
        False,
        False,
        True,
    ]


def test_lists_of_a_fixed_size_become_lists(tiny: Path) -> None:
    given = pa.table(
        {
            "query": ["a", "a"],
            "documents": pa.array([["bad", "good"], None], pa.list_(pa.string(), 2)),
        }
    )
    ranker = TableRanker(
        rows.asked(tiny, Rank(top_n=1, documents_into="best"), columns={"id": None})
    )
    assert ranker(given).column("best").to_pylist() == [["good"], None]


def test_scores_are_a_list_of_numbers(tiny: Path) -> None:
    found = TableRanker(rows.asked(tiny, Score(), columns={"id": None}))(table())
    scores = Reranker(tiny).score("a", TEXTS[0] or [])
    assert found.column("scores").to_pylist()[:3] == [scores, [], None]
    assert found.schema.field("scores").type == pa.list_(pa.float64())


def test_tables_may_be_empty_nested_null_and_in_chunks(tiny: Path) -> None:
    ranker = TableRanker(
        rows.asked(tiny, columns={"id": None, "query": "q.text", "documents": "found.docs"})
    )
    given = pa.table(
        {
            "q": [{"text": "a"}, None],
            "found": [{"docs": ["bad", "good"], "n": 1}, {"docs": ["a"], "n": 2}],
        }
    )
    found = ranker(pa.concat_tables([given, given]))
    indices = [each and [x["index"] for x in each] for each in found.column("ranking").to_pylist()]
    assert indices == [[1, 0], None, [1, 0], None]
    assert ranker(given.slice(0, 0)).column_names == ["q", "found", "ranking", "rejected"]
    nulls = pa.table({"query": ["a"], "documents": pa.nulls(1)})
    task = Rank(documents_into="best")
    (row,) = TableRanker(rows.asked(tiny, task, columns={"id": None}))(nulls).to_pylist()
    assert (row["ranking"], row["best"]) == (None, None)
    assert "must be a list" in row["rejected"]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.sampled_from(["", "a", "good b"])),
            st.one_of(
                st.none(), st.lists(st.one_of(st.none(), st.sampled_from(["bad", "good", "w3"])))
            ),
        ),
        max_size=9,
    )
)
def test_a_table_and_lines_of_json_have_the_same_outcomes(tiny: Path, given: list[Any]) -> None:
    from resift.datasets.lines import JsonLines

    schema = pa.schema([("query", pa.string()), ("documents", pa.list_(pa.string()))])
    objects = [{"query": query, "documents": documents} for query, documents in given]
    asked = rows.asked(tiny, Rank(top_n=2, documents_into="best"), columns={"id": None})
    found = TableRanker(asked)(pa.Table.from_pylist(objects, schema)).to_pylist()
    lines = JsonLines(asked.columns, asked.task)
    from resift.datasets.lines import JsonRow

    asked_rows = lines.rows([JsonRow(at, b"", each) for at, each in enumerate(objects)])
    outcomes, _ = asked.ranker().rank(asked_rows)
    for row, outcome in zip(found, outcomes, strict=True):
        results = getattr(outcome, "results", None)
        assert (row["rejected"] is None) == (results is not None)
        if results is not None:
            assert [each["index"] for each in row["ranking"]] == [each.index for each in results]
            assert [each["score"] for each in row["ranking"]] == [each.score for each in results]
            assert row["best"] == [row["documents"][each.index] for each in results]


@pytest.mark.parametrize(
    ("given", "task", "columns", "said"),
    [
        ({}, Rank(), {"query": "q"}, "no 'q'; there are: query, documents"),
        ({}, Rank(), {"documents": "query"}, "must be lists of documents"),
        ({"query": [1] * 5}, Rank(), {}, "'query' must be text, not int64"),
        ({"documents": [[1]] * 5}, Rank(), {}, "lists of texts or objects"),
        ({"documents": [[{"body": "a"}]] * 5}, Rank(), {}, "no 'text'; there are: body"),
        ({"ranking": [1] * 5}, Rank(), {}, "a column 'ranking' already"),
        ({"rejected": [1] * 5}, Rank(), {}, "a column 'rejected' already"),
    ],
)
def test_columns_that_cant_be_are_refused(
    tiny: Path, given: dict[str, Any], task: Task, columns: dict[str, Any], said: str
) -> None:
    whole = pa.table({"query": QUERIES, "documents": TEXTS, **given})
    with pytest.raises(InvalidRequestError, match=said):
        TableRanker(rows.asked(tiny, task, columns={"id": None, **columns}))(whole)
