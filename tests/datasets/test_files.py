"""Datasets of JSON lines: one row out for each row in, in order, or rejected with a reason."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dataset_rows as rows
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resift import InvalidRequestError, Reranker
from resift.datasets import Columns, Negatives, Rank, Score

BAD = [
    "nope",
    "[1]",
    '"text"',
    '{"query": "a", "documents": ["a"], "x": NaN}',
    {"id": 1, "documents": ["a"]},
    {"query": "a"},
    {"query": " ", "documents": ["a"]},
    {"query": 3, "documents": ["a"]},
    {"query": None, "documents": ["a"]},
    {"query": "a", "documents": "a"},
    {"query": "a", "documents": None},
    {"query": "a", "documents": {"a": "b"}},
    {"query": "a", "documents": ["a", 3]},
    {"query": "a", "documents": [{"title": "a"}]},
    {"query": "a", "documents": [{"text": ["a"]}]},
    {"query": "a", "documents": ["good", "nan"]},
    {"query": "a", "documents": ["a"], "ranking": []},
    {"query": "a", "documents": ["a"] * 9},
]


@pytest.fixture(scope="module")
def reranker(tiny: Path) -> Reranker:
    return Reranker(tiny)


def test_each_row_has_the_ranking_that_the_engine_gives_it(
    tiny: Path, tmp_path: Path, reranker: Reranker
) -> None:
    given = [rows.row(number, more={"kept": [None, 0.5]}) for number in range(23)]
    source = rows.write_lines(tmp_path / "in.jsonl", given)
    report = rows.rerank(source, tmp_path / "out", rows.asked(tiny, Rank(top_n=3), block_rows=5))
    found = rows.output(tmp_path / "out")
    assert [{k: v for k, v in row.items() if k != "ranking"} for row in found] == given
    for row in found:
        ranking = reranker.rank(row["query"], row["documents"], top_n=3)
        assert row["ranking"] == [
            {"index": each.index, "score": each.score, "logit": each.logit} for each in ranking
        ]
    assert (report.rows, report.ranked, report.rejected) == (23, 23, 0)
    assert (report.documents, report.kept, report.blocks) == (23 * 5, 23 * 3, 5)
    assert report.pairs == sum(
        reranker.rank(x["query"], x["documents"]).counts.pairs for x in given
    )
    assert rows.rejected(tmp_path / "out") == []
    assert json.loads((tmp_path / "out/_report.json").read_bytes())["rows"] == 23


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: str(bad)[:50])
def test_a_bad_row_is_rejected_with_its_line_and_the_others_are_ranked(
    tiny: Path, tmp_path: Path, bad: Any
) -> None:
    given = [rows.row(1), bad, rows.row(2)]
    source = rows.write_lines(tmp_path / "in.jsonl", given)
    report = rows.rerank(source, tmp_path / "out", rows.asked(tiny, most_documents=8))
    assert [row["id"] for row in rows.output(tmp_path / "out")] == [1, 2]
    (entry,) = rows.rejected(tmp_path / "out")
    assert (entry["file"], entry["line"]) == ("in.jsonl", 2)
    assert entry["content"] == (bad if isinstance(bad, str) else json.dumps(bad))
    assert len(entry["reason"]) > 10
    assert (report.ranked, report.rejected) == (2, 1)


def test_reasons_name_what_is_wrong(tiny: Path, tmp_path: Path) -> None:
    source = rows.write_lines(tmp_path / "in.jsonl", [*BAD, {"id": 7, "query": "a"}])
    rows.rerank(source, tmp_path / "out", rows.asked(tiny, most_documents=8))
    reasons = [entry["reason"] for entry in rows.rejected(tmp_path / "out")]
    assert "JSON" in reasons[0]
    assert "'query'" in reasons[4]
    assert "'documents'" in reasons[5]
    assert "query must not be empty" in reasons[6]
    assert "must be a list" in reasons[9]
    assert "documents[1]" in reasons[12]
    assert "documents[0] has no 'text'" in reasons[13]
    assert "NaN" in reasons[15] or "finite" in reasons[15]
    assert "'ranking' already" in reasons[16]
    assert "9 documents are more than most_documents=8" in reasons[17]
    assert rows.rejected(tmp_path / "out")[-1]["id"] == 7


@settings(max_examples=25, deadline=None)
@given(
    chosen=st.lists(st.one_of(st.integers(0, 50), st.sampled_from(BAD), st.just("")), max_size=14),
    block=st.integers(1, 6),
    files=st.integers(1, 3),
)
def test_every_row_is_in_the_output_or_rejected_once_and_in_order(
    tiny: Path, chosen: list[Any], block: int, files: int
) -> None:
    given = [rows.row(each) if isinstance(each, int) else each for each in chosen]
    with TemporaryDirectory() as folder:
        for at in range(files):
            (Path(folder) / "in").mkdir(exist_ok=True)
            rows.write_lines(Path(folder, "in", f"{at}.jsonl"), given[at::files])
        out = Path(folder, "out")
        report = rows.rerank(
            Path(folder, "in"), out, rows.asked(tiny, block_rows=block, most_documents=8)
        )
        ordered = [each for at in range(files) for each in given[at::files] if each != ""]
        good = [each for each in ordered if each not in BAD]
        assert [row["id"] for row in rows.output(out)] == [each["id"] for each in good]
        bad = [
            each if isinstance(each, str) else json.dumps(each) for each in ordered if each in BAD
        ]
        assert [entry["content"] for entry in rows.rejected(out)] == bad
        assert (report.rows, report.ranked, report.rejected) == (len(ordered), len(good), len(bad))


def test_documents_may_be_objects_inside_objects(tiny: Path, tmp_path: Path) -> None:
    hits = [{"_source": {"text": text}, "n": 1.5} for text in ("bad", "good", None)]
    source = rows.write_lines(
        tmp_path / "in.jsonl", [{"q": {"text": "a"}, "hits": {"hits": hits}, "hits.total": 3}]
    )
    columns = {"query": "q.text", "documents": "hits.hits", "text": "_source.text", "id": None}
    task = Rank(top_n=2, documents_into="best")
    rows.rerank(source, tmp_path / "out", rows.asked(tiny, task, columns=columns))
    (row,) = rows.output(tmp_path / "out")
    assert [each["index"] for each in row["ranking"]] == [1, 2]
    assert row["best"] == [hits[1], hits[2]]
    assert row["hits.total"] == 3


def test_kept_documents_may_replace_the_documents(tiny: Path, tmp_path: Path) -> None:
    source = rows.write_lines(tmp_path / "in.jsonl", [{"query": "a", "documents": ["bad", "good"]}])
    task = Rank(top_n=1, documents_into="documents")
    rows.rerank(source, tmp_path / "out", rows.asked(tiny, task))
    (row,) = rows.output(tmp_path / "out")
    assert row["documents"] == ["good"]
    assert row["ranking"][0]["index"] == 1


def test_scores_are_in_the_order_given(tiny: Path, tmp_path: Path, reranker: Reranker) -> None:
    source = rows.write_lines(tmp_path / "in.jsonl", [rows.row(2), {"query": "a", "documents": []}])
    rows.rerank(source, tmp_path / "out", rows.asked(tiny, Score()))
    first, second = rows.output(tmp_path / "out")
    assert first["scores"] == reranker.score(first["query"], first["documents"])
    assert second["scores"] == []


def test_options_of_the_engine_hold(tiny: Path, tmp_path: Path, reranker: Reranker) -> None:
    options = {"normalization": "none", "prior": 0.5, "max_documents": 3, "score_threshold": -0.5}
    source = rows.write_lines(tmp_path / "in.jsonl", [rows.row(1)])
    rows.rerank(source, tmp_path / "out", rows.asked(tiny, options=options))
    (row,) = rows.output(tmp_path / "out")
    ranking = reranker.rank(row["query"], row["documents"], **options)  # type: ignore[arg-type]
    assert 3 <= len(ranking) < 5
    assert [each["score"] for each in row["ranking"]] == [each.score for each in ranking]


def test_texts_stay_as_they_are(tiny: Path, tmp_path: Path) -> None:
    texts = ["שלום good", "\U0001f600", "a\u0000b", "line\u2028end", "\ud800", "e\u0301"]
    given = {"id": "ü", "query": "a ü", "documents": texts, "n": 12345678901234567890, "f": 0.1}
    plain = {**given, "documents": texts[:4]}
    source = rows.write_lines(tmp_path / "in.jsonl", [given, plain])
    rows.rerank(source, tmp_path / "out", rows.asked(tiny))
    found = rows.output(tmp_path / "out")
    assert [{k: v for k, v in row.items() if k != "ranking"} for row in found] == [given, plain]
    # Text is readable, unless only an escape can say it.
    first, second, _ = (tmp_path / "out/part-000000.jsonl").read_bytes().split(b"\n")
    assert "שלום".encode() in second
    assert first.isascii()


@pytest.mark.parametrize("content", [b"", b"\n\n  \n"])
def test_a_file_without_rows_gives_a_part_without_rows(
    tiny: Path, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "in.jsonl").write_bytes(content)
    report = rows.rerank(tmp_path / "in.jsonl", tmp_path / "out", rows.asked(tiny))
    assert report.rows == 0
    assert [each.name for each in (tmp_path / "out").glob("part-*")] == ["part-000000.jsonl"]
    assert "0 rows" in report.to_text()


def test_lines_may_end_as_on_windows_begin_with_a_mark_and_lack_the_last_end(
    tiny: Path, tmp_path: Path
) -> None:
    lines = [json.dumps(rows.row(number)).encode() for number in range(3)]
    (tmp_path / "in.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(lines))
    rows.rerank(tmp_path / "in.jsonl", tmp_path / "out", rows.asked(tiny, block_rows=2))
    assert [row["id"] for row in rows.output(tmp_path / "out")] == [0, 1, 2]


def test_a_line_that_isnt_utf8_is_rejected(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(
        b'{"query": "\xff", "documents": []}\n' + json.dumps(rows.row(1)).encode() + b"\n"
    )
    rows.rerank(tmp_path / "in.jsonl", tmp_path / "out", rows.asked(tiny))
    (entry,) = rows.rejected(tmp_path / "out")
    assert "UTF-8" in entry["reason"]
    assert "\\xff" in entry["content"]


def test_compressed_lines_are_the_same_rows(tiny: Path, tmp_path: Path) -> None:
    given = [rows.row(number) for number in range(11)]
    plain = rows.write_lines(tmp_path / "in.jsonl", given)
    with gzip.open(tmp_path / "in.jsonl.gz", "wb") as file:
        file.write(plain.read_bytes())
    for name in ("in.jsonl", "in.jsonl.gz"):
        rows.rerank(tmp_path / name, tmp_path / f"{name}-out", rows.asked(tiny, block_rows=4))
    assert rows.content(tmp_path / "in.jsonl-out") == rows.content(tmp_path / "in.jsonl.gz-out")
    whole = (tmp_path / "in.jsonl.gz").read_bytes()
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidRequestError, match=r"cut\.jsonl\.gz can't be read"):
        rows.rerank(tmp_path / "cut.jsonl.gz", tmp_path / "cut", rows.asked(tiny))


def test_inputs_are_a_file_a_folder_or_a_pattern(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "in/b").mkdir(parents=True)
    rows.write_lines(tmp_path / "in/2.jsonl", [rows.row(2)])
    rows.write_lines(tmp_path / "in/10.jsonl", [rows.row(10)])
    rows.write_lines(tmp_path / "in/b/1.ndjson", [rows.row(1)])
    rows.write_lines(tmp_path / "in/_report.json", [{"rows": 3}])
    rows.write_lines(tmp_path / "in/.hidden.jsonl", [rows.row(9)])
    for at, (source, ids) in enumerate(
        [("in", [10, 2, 1]), ("in/*.jsonl", [10, 2]), ("in/**/*.ndjson", [1]), ("in/2.jsonl", [2])]
    ):
        out = tmp_path / f"out{at}"
        rows.rerank(tmp_path / source, out, rows.asked(tiny))
        assert [row["id"] for row in rows.output(out)] == ids


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], "found none"),
        (["a.jsonl", "b.parquet"], "there are both"),
        (["a.csv"], r"a\.csv is neither"),
    ],
)
def test_other_files_are_refused(
    tiny: Path, tmp_path: Path, files: list[str], expected: str
) -> None:
    (tmp_path / "in").mkdir()
    for name in files:
        (tmp_path / "in" / name).write_bytes(b"")
    with pytest.raises(InvalidRequestError, match=expected):
        rows.rerank(tmp_path / "in", tmp_path / "out", rows.asked(tiny))


@pytest.mark.parametrize(
    ("task", "options", "expected"),
    [
        (Rank(), {"deadline_ms": 5.0}, "deadline_ms"),
        (Score(), {"score_threshold": 0.5}, "score_threshold"),
        (Score(), {"prune": "auto"}, "prune"),
        (Score(), {"on_error": "first_stage"}, "on_error"),
        (Negatives(), {}, "positives"),
        (Rank(), {"threads": 0}, "threads"),
        (Rank(), {"token": "hf_secret"}, "set HF_TOKEN"),
        (Rank(), {"on_timing": print}, "on_timing"),
    ],
)
def test_what_cant_be_asked_is_refused(
    tiny: Path, task: Any, options: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InvalidRequestError, match=expected) as raised:
        rows.asked(tiny, task, options=options)
    assert "hf_secret" not in str(raised.value)


def test_documents_inside_an_object_cant_be_replaced(tiny: Path) -> None:
    with pytest.raises(InvalidRequestError, match="give another name"):
        rows.asked(tiny, Rank(documents_into="x.docs"), columns={"documents": "x.docs"})


def test_names_are_checked() -> None:
    for wrong in ({"query": ""}, {"text": None}, {"documents": 3}):
        with pytest.raises(InvalidRequestError):
            Columns(**wrong)
    for kind in ({"into": ""}, {"into": "x", "documents_into": "x"}, {"top_n": 0}):
        with pytest.raises(InvalidRequestError):
            Rank(**kind)
    with pytest.raises(InvalidRequestError):
        Score(documents_into="best")
