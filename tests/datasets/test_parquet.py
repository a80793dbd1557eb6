"""Datasets of Parquet, and Arrow tables: the same answers, and every type as it was."""

from __future__ import annotations

import datetime
import decimal
import subprocess
import sys
from pathlib import Path
from typing import Any

import dataset_rows as rows
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resift import BackendUnavailableError, InvalidRequestError, Reranker
from resift.datasets import Rank, Score, TableRanker, Task

pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq

TEXTS = [["bad", "good", None], [], None, ["a"], ["b", "good"]]
QUERIES = ["a", "b", "a", " ", "a"]


def table(documents: Any = None, **more: Any) -> Any:
    """Five rows, of which the third and fourth can't be ranked."""
    given = pa.array(TEXTS, pa.list_(pa.string())) if documents is None else documents
    return pa.table({"query": QUERIES, "documents": given, **more})


def read(out: Path) -> Any:
    return pa.concat_tables([pq.read_table(each) for each in sorted(out.glob("part-*.parquet"))])


def expected(tiny: Path, **options: Any) -> list[Any]:
    reranker = Reranker(tiny)
    good = [(QUERIES[at], TEXTS[at]) for at in (0, 1, 4)]
    return [
        [
            {"index": each.index, "score": each.score, "logit": each.logit}
            for each in reranker.rank(query, documents or [], **options)
        ]
        for query, documents in good
    ]


@pytest.mark.parametrize("group", [1, 2, 5])
@pytest.mark.parametrize("block", [1, 2, 1000])
def test_rows_keep_their_order_and_have_the_engines_scores(
    tiny: Path, tmp_path: Path, group: int, block: int
) -> None:
    pq.write_table(table(id=list("vwxyz")), tmp_path / "in.parquet", row_group_size=group)
    report = rows.rerank(
        tmp_path / "in.parquet", tmp_path / "out", rows.asked(tiny, Rank(top_n=2), block_rows=block)
    )
    found = read(tmp_path / "out")
    assert found.column("id").to_pylist() == ["v", "w", "z"]
    assert found.column("ranking").to_pylist() == expected(tiny, top_n=2)
    entries = rows.rejected(tmp_path / "out")
    assert [(each["file"], each["row"], each["id"]) for each in entries] == [
        ("in.parquet", 2, "x"),
        ("in.parquet", 3, "y"),
    ]
    assert "must be a list, not null" in entries[0]["reason"]
    assert "query must not be empty" in entries[1]["reason"]
    assert (report.rows, report.ranked, report.rejected) == (5, 3, 2)
    # Folders of Parquet are read as a whole by others.
    assert pq.read_table(tmp_path / "out").num_rows == 3


def test_every_type_stays_as_it_is(tiny: Path, tmp_path: Path) -> None:
    when = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    columns = {
        "when": pa.array([when] * 5, pa.timestamp("ns", "UTC")),
        "price": pa.array([decimal.Decimal("1.20")] * 5, pa.decimal128(9, 2)),
        "small": pa.array([1, None, 3, 4, 5], pa.int8()),
        "bytes": pa.array([b"\xff"] * 5, pa.binary()),
        "kind": pa.array(["x", "y", "x", "y", "x"]).dictionary_encode(),
        "half": pa.array(np.full(5, 0.5, np.float16)),
        "map": pa.array([[("k", 1)]] * 5, pa.map_(pa.string(), pa.int32())),
        "vector": pa.array([[1.0, 2.0]] * 5, pa.list_(pa.float32(), 2)),
        "object": pa.array(
            [{"a": {"b": None}}] * 5, pa.struct([("a", pa.struct([("b", pa.date32())]))])
        ),
    }
    given = table(**columns).replace_schema_metadata({"about": "rows"})
    pq.write_table(given, tmp_path / "in.parquet")
    rows.rerank(tmp_path / "in.parquet", tmp_path / "out", rows.asked(tiny, columns={"id": None}))
    found = read(tmp_path / "out")
    kept = pq.read_table(tmp_path / "in.parquet").take([0, 1, 4])
    assert found.drop_columns("ranking").cast(kept.schema).equals(kept)
    assert [f.type for f in found.schema][:-1] == [f.type for f in kept.schema]
    assert found.schema.metadata[b"about"] == b"rows"
    ranked = found.schema.field("ranking").type.value_type
    assert [str(ranked.field(name).type) for name in ("index", "score", "logit")] == [
        "int32",
        "double",
        "float",
    ]


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


def test_an_empty_file_keeps_its_columns(tiny: Path, tmp_path: Path) -> None:
    pq.write_table(table(id=list("vwxyz")).slice(0, 0), tmp_path / "in.parquet")
    assert rows.rerank(tmp_path / "in.parquet", tmp_path / "out", rows.asked(tiny)).rows == 0
    assert read(tmp_path / "out").column_names == ["query", "documents", "id", "ranking"]


@pytest.mark.parametrize("group", [1, 3, 300, 700])
def test_blocks_are_read_in_any_order(tiny: Path, tmp_path: Path, group: int) -> None:
    from resift.datasets.arrow import Tables

    count = 1000
    given = pa.table({"query": ["a"] * count, "documents": [[]] * count, "at": range(count)})
    pq.write_table(given, tmp_path / "in.parquet", row_group_size=group)
    asked = rows.asked(tiny, columns={"id": None})
    form = Tables(asked.columns, asked.task)
    parts = list(form.slices(tmp_path / "in.parquet", 170, 10**9))
    assert [(part.first, part.rows) for part in parts][-1][0] + parts[-1].rows == count
    for part in [*parts[::-1][:40], *parts[5:8], *parts[::40], parts[0]]:
        found = form.read(tmp_path / "in.parquet", part).column("at").to_pylist()
        assert found == list(range(part.first, part.first + part.rows))
    last = parts[-1]._replace(rows=parts[-1].rows + 1)
    with pytest.raises(InvalidRequestError, match="has changed since"):
        form.read(tmp_path / "in.parquet", last)


def test_what_isnt_parquet_is_refused(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "in.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InvalidRequestError, match="isn't a Parquet file"):
        rows.rerank(tmp_path / "in.parquet", tmp_path / "out", rows.asked(tiny))


def test_without_pyarrow_it_says_what_to_install(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(table(), tmp_path / "in.parquet")
    rows.write_lines(tmp_path / "in.jsonl", [rows.row(1)])
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    asked = rows.asked(tiny)
    with pytest.raises(BackendUnavailableError, match=r"pip install 'resift\[datasets\]'"):
        rows.rerank(tmp_path / "in.parquet", tmp_path / "out", asked)
    with pytest.raises(BackendUnavailableError, match=r"pip install 'resift\[datasets\]'"):
        TableRanker(asked)
    assert rows.rerank(tmp_path / "in.jsonl", tmp_path / "out", asked).ranked == 1


_MEASURE = r"""
import re, sys
from pathlib import Path
from resift.cli.main import main
status = main(sys.argv[1:])
# Not getrusage's: that may be the parent's, from before the exec.
print(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))[1])
sys.exit(status)
"""


@pytest.mark.parametrize("form", [pytest.param("jsonl", marks=pytest.mark.slow), "parquet"])
def test_memory_doesnt_grow_with_the_rows(tiny: Path, tmp_path: Path, form: str) -> None:
    """Rows of 20 kB that nothing is ranked of: 60 MB of them more, and not 40 MB of memory."""
    peaks = []
    for count in (1000, 4000):
        given = [
            {"query": "a", "documents": [], "rest": f"{at} " + "x" * 20_000} for at in range(count)
        ]
        path = tmp_path / f"in{count}.{form}"
        if form == "jsonl":
            rows.write_lines(path, given)
        else:
            # A group is a part of a file that a reader may skip.
            pq.write_table(
                pa.Table.from_pylist(given), path, row_group_size=500, compression="none"
            )
        command = ["rerank-dataset", str(path), str(tmp_path / f"out{count}"), "-m", str(tiny)]
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, *command, "--block-rows", "100"],
            check=True,
            capture_output=True,
            encoding="utf-8",
        )
        peaks.append(int(done.stdout.split()[-1]) * 1024)
    assert peaks[1] - peaks[0] < 40_000_000
