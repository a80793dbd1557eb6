"""Labels files: appended to, mended, merged and converted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resift import InvalidRequestError
from resift.cli.main import main
from resift.files.grades import Label, last_of, read_labels
from resift.labelling.labels import LabelsFile, merged, to_qrels

some = st.builds(
    Label,
    st.text(min_size=1, max_size=4),
    st.text(min_size=1, max_size=4),
    st.integers(-5, 9),
    st.none() | st.text(max_size=3),
    st.none() | st.just("2026-01-01T00:00:00+00:00"),
)
A = Label("q", "a", 1, "anna", "2026-01-01T00:00:00+00:00")
B = Label("q", "b", 2, "anna", "2026-01-01T00:00:01+00:00")


# Each label waits for the disk.
@settings(max_examples=30, deadline=None)
@given(given=st.lists(some, max_size=8))
def test_what_is_appended_is_read(
    tmp_path_factory: pytest.TempPathFactory, given: list[Label]
) -> None:
    path = tmp_path_factory.mktemp("labels") / "labels.jsonl"
    for label in given:
        with LabelsFile.open(path) as file:
            file.append(label)
    wanted = last_of((each.key, each) for each in given)
    assert read_labels(path) == wanted if given else not path.exists()
    if given:
        assert len(path.read_bytes().splitlines()) == len(given)
        assert list(read_labels(path)) == list(wanted)


@pytest.mark.parametrize("cut", range(len(B.line())))
def test_a_line_that_broke_off_is_removed(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_bytes(A.line() + B.line()[:cut])
    with LabelsFile.open(path) as file:
        assert file.mended == (0 < cut < len(B.line()) - 1)
        file.append(B)
    # The line's end alone was missing at the last cut: then the label counts, and is there twice.
    again = B.line() if cut == len(B.line()) - 1 else b""
    assert path.read_bytes() == A.line() + again + B.line()


@pytest.mark.parametrize("content", [b"notes of mine", b'{"query_id": "q"}\n{"query_', b"\xff\n"])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(InvalidRequestError, match=r"notes\.txt:1"), LabelsFile.open(path):
        pass
    assert path.read_bytes() == content


def test_a_file_has_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    with (
        LabelsFile.open(path),
        pytest.raises(InvalidRequestError, match="another resift label"),
        LabelsFile.open(path),
    ):
        pass
    with LabelsFile.open(path) as file:
        file.append(A)


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, write = tmp_path / "labels.jsonl", os.write
    written: list[bytes] = []

    def full(descriptor: int, content: bytes) -> int:
        if written:
            raise OSError(28, "No space left on device")
        written.append(content)
        return write(descriptor, content[:10])

    with LabelsFile.open(path) as file:
        file.append(A)
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            file.append(B)
        assert file.labels == {A.key: A}
        assert path.read_bytes() == A.line()
        monkeypatch.setattr(os, "write", write)
        file.append(B)
    assert path.read_bytes() == A.line() + B.line()


@pytest.mark.parametrize(
    "line",
    ['{"query_id": "q", "document_id": "a", "grade": true}', '{"query_id": "q", "grade": 1}', "7"],
)
def test_a_line_that_is_wrong_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(f"{A.line().decode()}{line}\n", encoding="utf-8")
    with pytest.raises(InvalidRequestError, match=r"labels\.jsonl:2"):
        read_labels(path)


@given(st.lists(st.lists(some, max_size=6), max_size=4))
def test_merging_takes_the_lower_median(files: list[list[Label]]) -> None:
    read = [last_of((each.key, each) for each in labels) for labels in files]
    found = merged(read)
    assert found.keys() == {key for each in read for key in each}
    for key, grade in found.items():
        grades = sorted(each[key].grade for each in read if key in each)
        assert grade == grades[(len(grades) - 1) // 2]


def test_qrels_are_in_the_forms_that_others_read(tmp_path: Path) -> None:
    one, two, out = tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "qrels.tsv"
    one.write_bytes(Label("q2", "z", 0).line() + A.line() + Label("q", "a", 3).line() + B.line())
    two.write_bytes(Label("q", "a", 0).line())
    assert main(["label", "--to-qrels", str(one), str(two), "--out", str(out)]) == 0
    assert out.read_bytes() == b"query-id\tcorpus-id\tscore\nq\ta\t0\nq\tb\t2\nq2\tz\t0\n"
    out = tmp_path / "qrels.txt"
    assert main(["label", "--to-qrels", str(one), "--out", str(out)]) == 0
    assert out.read_bytes() == b"q 0 a 3\nq 0 b 2\nq2 0 z 0\n"
    ir_measures = pytest.importorskip("ir_measures")
    read = {
        (each.query_id, each.doc_id, each.relevance)
        for each in ir_measures.read_trec_qrels(str(out))
    }
    assert read == {("q", "a", 3), ("q", "b", 2), ("q2", "z", 0)}


def test_ids_that_break_a_column_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match=r"'a b'.*\.tsv"):
        to_qrels({("q", "a b"): 1}, "trec")
    assert to_qrels({("q", "a b"): 1}, "beir").endswith("q\ta b\t1\n")
    with pytest.raises(InvalidRequestError, match="column"):
        to_qrels({("q", "a\tb"): 1}, "beir")


def test_the_format_is_that_of_other_commands(tmp_path: Path) -> None:
    assert json.loads(A.line()) == {
        "query_id": "q",
        "document_id": "a",
        "grade": 1,
        "by": "anna",
        "at": "2026-01-01T00:00:00+00:00",
    }
