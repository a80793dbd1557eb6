"""Parquet files: their order, their types, how they are read, and the memory that this takes."""

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

from resift import BackendUnavailableError, InvalidRequestError
from resift.datasets import Rank, TableRanker

pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq
from dataset_tables import expected, table


def read(out: Path) -> Any:
    return pa.concat_tables([pq.read_table(each) for each in sorted(out.glob("part-*.parquet"))])


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
