"""The files that people have: lines with their places, judgements, runs, recorded queries."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from resift import InvalidRequestError
from resift.files.collections import find_grades, find_run, read_run, read_texts
from resift.files.grades import read_grades, read_labels
from resift.files.lines import json_lines
from resift.files.recorded import read_recorded


def packed(path: Path, text: str) -> Path:
    content = text.encode("utf-8-sig")
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_lines_have_their_places(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / name, '{"a": 1}\r\n\n  \n{"a": 2}')
    assert [(each.place, each.values["a"]) for each in json_lines(path)] == [
        (f"{path}:1", 1),
        (f"{path}:4", 2),
    ]


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    whole = gzip.compress(json.dumps({"a": list(range(1000))}).encode())
    broken = bytearray(whole)
    broken[40:60] = bytes(20)
    cases = {
        "cut.jsonl.gz": (whole[:-20], "can't be read"),
        "broken.jsonl.gz": (bytes(broken), "can't be read"),
        "plain.jsonl.gz": (b"{}\n", "can't be read"),
        "bytes.jsonl": (b"\xff\n", "isn't UTF-8"),
        "deep.jsonl": (b"[" * 100_000, r":1 isn't JSON"),
        "list.jsonl": (b"{}\n[]\n", r":2 must be a JSON object"),
    }
    for name, (content, said) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidRequestError, match=f"{name}.*{said}"):
            list(json_lines(tmp_path / name))
    with pytest.raises(InvalidRequestError, match=r"nowhere.*can't be read"):
        list(json_lines(tmp_path / "nowhere"))


def test_judgements_are_the_same_in_all_forms(tmp_path: Path) -> None:
    wanted = {("q 1", "d1"): 2, ("q 1", "d2"): 0, ("q2", "d1"): 1}
    head = "query-id\tcorpus-id\tscore\n"
    rows = "q 1\td1\t2\nq 1\td2\t0\nq2\td1\t1.0\n"
    assert read_grades(packed(tmp_path / "beir.tsv", head + rows)) == wanted
    assert read_grades(packed(tmp_path / "bare.tsv.gz", rows)) == wanted
    four = "q 1\t0\td1\t2\nq 1\t0\td2\t0\nq2 0 d1 1\n"
    assert read_grades(packed(tmp_path / "trec.txt", four)) == wanted
    labels: list[dict[str, object]] = [
        {"query_id": "q 1", "document_id": "d1", "grade": 7},
        {"query_id": "q2", "document_id": "d9", "grade": 1},
        *({"query_id": q, "document_id": d, "grade": grade} for (q, d), grade in wanted.items()),
        # It takes the earlier one back.
        {"query_id": "q2", "document_id": "d9", "grade": None},
    ]
    path = packed(tmp_path / "labels.jsonl", "\n".join(map(json.dumps, labels)))
    assert read_grades(path) == wanted
    assert {key: each.grade for key, each in read_labels(path).items()} == wanted


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", "q 0 d high\n", ":1 has the grade 'high', expected a whole number"),
        ("a.tsv", "q\td\t1.5\nq\td\t1.5\n", ":2 has the grade '1.5'"),
        ("a.tsv", "q\td\tinf\nq\td\tnan\n", ":2 has the grade 'nan'"),
        ("a.txt", "q d\n", ":1 must have a query's id"),
        ("a.tsv", "query-id\tcorpus-id\tscore\n", "has no judgements"),
        ("a.jsonl", '{"query_id": "q", "document_id": "d", "grade": 1.5}', ":1: 'grade' must be"),
        ("a.jsonl", '{"query_id": "q", "document_id": "d"}', "'grade' must be a whole number, and"),
        ("a.jsonl", '{"query_id": true, "document_id": "d", "grade": 1}', "'query_id' must be a"),
    ],
)
def test_judgements_that_are_wrong_are_named(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    with pytest.raises(InvalidRequestError, match=said):
        read_grades(packed(tmp_path / name, text))


def test_a_run_is_in_the_order_of_its_scores(tmp_path: Path) -> None:
    text = "q Q0 a 1 5 x\nq Q0 b 2 nan x\nq Q0 c 3 7 x\nq Q0 d 4 5 x\n"
    found, _ = read_run(packed(tmp_path / "run.x.txt.gz", text), 3)
    assert [each.id for each in found["q"]] == ["c", "a", "d"]
    ranked = packed(tmp_path / "a.txt", "q Q0 a 1 5 x\nq Q0 b 2 4 x\nq Q0 c 3 7 x\n")
    assert read_run(ranked, 1)[1] == 1
    assert find_run(tmp_path) == tmp_path / "run.x.txt.gz"
    packed(tmp_path / "run.y.txt", text)
    with pytest.raises(InvalidRequestError, match=r"several runs: run\.x\.txt\.gz, run\.y\.txt"):
        find_run(tmp_path)


def test_the_judgements_of_a_folder_are_found(tmp_path: Path) -> None:
    assert find_grades(tmp_path) is None
    (tmp_path / "qrels").mkdir()
    for name in ("labels.jsonl", "qrels/train.tsv", "qrels/dev.tsv.gz", "qrels/test.tsv"):
        packed(tmp_path / name, "")
        assert find_grades(tmp_path) == tmp_path / name


def test_texts_have_an_id_and_a_title(tmp_path: Path) -> None:
    path = packed(tmp_path / "c.jsonl", '{"_id": 1, "title": "A", "text": "b"}\n{"id": "2"}')
    assert [(name, each.whole) for name, each in read_texts(path)] == [("1", "A b"), ("2", "")]
    path = packed(tmp_path / "c.tsv", "1\tA b\n")
    assert [(name, each.whole) for name, each in read_texts(path)] == [("1", "A b")]


def test_recorded_numbers_are_finite(tmp_path: Path) -> None:
    def write(score: str) -> Path:
        candidates = f'[{{"id": 7, "score": {score}}}]'
        text = f'{{"query_id": 5, "query": null, "candidates": {candidates}}}'
        return packed(tmp_path / "r.jsonl", text)

    (found,) = read_recorded(write("1"))
    assert (found.query_id, found.candidates[0].id, found.candidates[0].score) == ("5", "7", 1.0)
    for wrong in ("NaN", "1e999", "1" * 400, "true", '"1"'):
        with pytest.raises(InvalidRequestError, match=r"r\.jsonl:1: candidates\[0\]: 'score'"):
            list(read_recorded(write(wrong)))
