"""Files that ``resift calibrate`` reads: judgements in each form, and malformed ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from calibrating.lines import DOCUMENTS, Lines, read, run, without, write


def test_labels_qrels_and_grades_say_the_same(lines: Lines, tiny: Path, tmp_path: Path) -> None:
    bare = write(tmp_path / "bare.jsonl", without(lines, "grade"))
    grades = [
        (line["query_id"], each["id"], each["grade"])
        for line in lines for each in line["candidates"]
    ]  # fmt: skip
    labels = write(
        tmp_path / "labels.jsonl",
        # The first is taken back by the second.
        [{"query_id": grades[0][0], "document_id": grades[0][1], "grade": 7}]
        + [{"query_id": q, "document_id": d, "grade": g} for q, d, g in grades],
    )
    trec, beir = tmp_path / "trec.txt", tmp_path / "beir.tsv"
    trec.write_text("".join(f"{q} 0 {d} {g}\n" for q, d, g in grades), encoding="utf-8")
    head = "query-id\tcorpus-id\tscore\n"
    beir.write_text(head + "".join(f"{q}\t{d}\t{g}\n" for q, d, g in grades), encoding="utf-8")
    found = []
    for arguments in (
        (write(tmp_path / "own.jsonl", lines),), (bare, "--labels", labels),
        (bare, "--qrels", trec), (bare, "--qrels", beir),
    ):  # fmt: skip
        assert run(*arguments, "--model", tiny, "--out", tmp_path / "o.json") == 0
        found.append(read(tmp_path / "o.json")["intercept"])
    assert len(set(found)) == 1


def test_a_collection_with_a_run(lines: Lines, tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "collection"
    (folder / "qrels").mkdir(parents=True)
    corpus, queries, qrels, ranks = [], [], ["query-id\tcorpus-id\tscore"], []
    for line in lines:
        queries.append({"_id": line["query_id"], "text": line["query"]})
        for rank, each in enumerate(line["candidates"], start=1):
            name = f"{line['query_id']}-{each['id']}"
            corpus.append({"_id": name, "title": "", "text": each["text"]})
            ranks.append(f"{line['query_id']} Q0 {name} {rank} {9 - rank} bm25")
            if each["grade"]:
                qrels.append(f"{line['query_id']}\t{name}\t1")
    write(folder / "corpus.jsonl", corpus)
    write(folder / "queries.jsonl", queries)
    (folder / "qrels/test.tsv").write_text("\n".join(qrels), encoding="utf-8")
    (folder / "run.bm25.txt").write_text("\n".join(ranks), encoding="utf-8")
    out = tmp_path / "o.json"
    assert run(folder, "--model", tiny, "--out", out) == 2
    arguments = ("--model", tiny, "--out", out, "--unjudged", "not-relevant")
    assert run(folder, *arguments) == 0
    judged = sum(any(c["grade"] for c in line["candidates"]) for line in lines)
    assert read(out)["fitted"]["pairs"] == DOCUMENTS * judged
    assert run(folder, *arguments, "--depth", 3) == 0
    assert read(out)["fitted"]["pairs"] <= 3 * judged


Change = Callable[[Lines], Any]


def put(key: str, value: Any) -> Change:
    return lambda lines: lines[1].update({key: value})


def put_in_candidate(key: str, value: Any) -> Change:
    return lambda lines: lines[1]["candidates"][2].update({key: value})


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (put("query_id", 3.5), (), ":2: 'query_id' must be a str or a whole number, not 3.5"),
        (put("candidates", {}), (), ":2: 'candidates' must be a list of objects, not {}"),
        (put_in_candidate("grade", 0.5), (), ":2: candidates[2]: 'grade' must be a whole number"),
        (put_in_candidate("logit", "x"), (), ":2: candidates[2]: 'logit' must be a number or null"),
        (put_in_candidate("logit", float("inf")), (), "candidates[2]: 'logit' must be finite"),
        (put_in_candidate("text", None), (), "query 'q0-1': candidates[2] has no text"),
        (put_in_candidate("logit", None), ("--recorded",), "candidates[2] has no 'logit'"),
        (put("query", None), (), "query 'q0-1' has no text"),
        (put("model", "another"), ("--recorded",), "found ['another', 'recorded-model']"),
        (lambda lines: lines.clear(), (), "no candidate has a grade"),
        (lambda lines: lines.__delitem__(slice(5, None)), (), "needs 10 of them at least; got 5"),
        (lambda lines: None, ("--relevant", "0"), "judged candidates are relevant"),
        (lambda lines: None, ("--kind", "isotonic"), "needs 1000 labels or more"),
        (lambda lines: None, ("--for-precision", "1.5"), "precision must be above 0, up to 1"),
        (lambda lines: None, ("--positives-in-use", "1"), "must lie between 0 and 1"),
        (lambda lines: None, ("--run", "x.txt"), "a run belongs to a folder"),
    ],
)  # fmt: skip
def test_malformed_input_is_named(
    lines: Lines, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    change: Change, arguments: tuple[str, ...], message: str,
) -> None:  # fmt: skip
    given: Lines = json.loads(json.dumps(lines))
    change(given)
    file = write(tmp_path / "judged.jsonl", given)
    assert run(file, "--model", tiny, "--out", tmp_path / "never.json", *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "never.json").exists()


def test_lines_that_are_no_json_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "judged.jsonl"
    for text, message in (
        ("\n{", "judged.jsonl:2 isn't JSON"),
        ("[1]", ":1 must be a JSON object"),
    ):
        file.write_text(text, encoding="utf-8")
        assert run(file, "--out", tmp_path / "o.json") == 2
        assert message in capsys.readouterr().err
    qrels = tmp_path / "qrels.txt"
    for text, message in (("a b", "in 3 or 4 columns"), ("a 0 b x", "the grade 'x'")):
        qrels.write_text(text, encoding="utf-8")
        file.write_text("", encoding="utf-8")
        assert run(file, "--qrels", qrels, "--out", tmp_path / "o.json") == 2
        said = capsys.readouterr().err
        assert "qrels.txt:1 " in said
        assert message in said
    assert run(tmp_path / "nowhere.jsonl", "--out", tmp_path / "o.json") == 2
