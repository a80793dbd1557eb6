"""The command ``resift rerank-dataset``: options, progress, report and exit status."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import dataset_rows as rows
import pytest

from resift.cli import rerank_dataset
from resift.cli.main import main


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return rows.write_lines(tmp_path / "in.jsonl", [rows.row(number) for number in range(8)])


def test_options_reach_the_job(
    tiny: Path, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = [
        "rerank-dataset",
        str(source),
        str(out),
        "-m",
        str(tiny),
        "-n",
        "2",
        "--into",
        "best",
    ]
    more = ["--normalization", "none", "--threads", "1", "--block-rows", "3", "--id", "id"]
    cost = ["--cost-per-hour", "3.6", "--format", "json", "--documents-into", "texts"]
    assert main([*command, *more, *cost]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((out / "_report.json").read_text(encoding="utf-8"))
    assert (report["rows"], report["ranked"], report["kept"], report["blocks"]) == (8, 8, 16, 3)
    assert report["cost"] == pytest.approx(report["seconds"] / 1000)
    assert report["cost_per_million_rows"] == pytest.approx(report["cost"] / 8e-6, rel=1e-3)
    assert report["rows_per_second"] == pytest.approx(8 / report["seconds"], rel=0.05)
    (ran,) = report["ran"]
    assert "on onnx cpu fp32" in ran
    (first, *_) = rows.output(out)
    assert [first["documents"][each["index"]] for each in first["best"]] == first["texts"]
    assert max(abs(each["score"]) for each in first["best"]) > 0
    assert first["best"][0]["score"] == first["best"][0]["logit"]
    job = json.loads((out / "_resift/job.json").read_bytes())
    assert job["options"]["threads"] == 1


def test_rejected_rows_show_in_the_status_and_the_table(
    tiny: Path, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with source.open("a", encoding="utf-8") as file:
        file.write("nope\n")
    command = ["rerank-dataset", str(source), str(tmp_path / "out"), "-m", str(tiny)]
    assert main([*command, "--cost-per-hour", "1"]) == 1
    shown = capsys.readouterr().out
    assert "9 rows: 8 ranked, 1 rejected" in shown
    assert "for a million rows" in shown
    assert "rows/s" in shown


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--negatives", "3"], "--negatives isn't for --task rank"),
        (["--task", "score", "-n", "3"], "--top-n isn't for --task score"),
        (["--task", "negatives", "--min-score", "0.1"], "needs positives"),
        (["--relative-margin", "0.1"], "--relative-margin isn't for --task rank"),
        (["--actors", "2"], "give --ray ADDRESS too"),
        (["--cost-per-hour", "-1"], "cost_per_hour"),
        (["--block-rows", "0"], "block_rows"),
        (["--query", ""], "query must be"),
    ],
)
def test_what_cant_be_asked_is_said(
    tiny: Path,
    tmp_path: Path,
    source: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    said: str,
) -> None:
    command = ["rerank-dataset", str(source), str(tmp_path / "out"), "-m", str(tiny)]
    assert main([*command, *more]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_ray_it_says_what_to_install(
    tiny: Path,
    tmp_path: Path,
    source: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "resift_ray.data", raising=False)
    command = ["rerank-dataset", str(source), str(tmp_path / "out"), "-m", str(tiny)]
    assert main([*command, "--ray", "local"]) == 3
    assert "pip install resift-ray" in capsys.readouterr().err
    assert importlib.util.find_spec("resift") is not None


def test_logs_get_a_line_now_and_then(
    tiny: Path,
    tmp_path: Path,
    source: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rerank_dataset, "_SECONDS_BETWEEN_LINES", 0.0)
    command = ["rerank-dataset", str(source), str(tmp_path / "out"), "-m", str(tiny)]
    assert main([*command, "--block-rows", "3"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" of ")[0] for line in lines] == ["resift: 3", "resift: 6", "resift: 8"]
    (tmp_path / "out/_resift/blocks/2.json").unlink()
    assert main([*command, "--block-rows", "3"]) == 0
    assert "6 of 8 rows were done before" in capsys.readouterr().err


def test_a_terminal_gets_a_bar(
    tiny: Path,
    tmp_path: Path,
    source: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    command = ["rerank-dataset", str(source), str(tmp_path / "out"), "-m", str(tiny)]
    assert main(command) == 0
    assert "0/8" in capsys.readouterr().err
