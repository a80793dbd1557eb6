"""Jobs cut short: they go on where they were, with the same output, or say what differs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import dataset_rows as rows
import pytest

from resift import InvalidRequestError
from resift.cli.main import main
from resift.datasets import Asked, Columns, Job, Rank, Score, rerank_files
from resift.datasets.folder import Folder

_RESIFT = "import sys; from resift.cli.main import main; sys.exit(main())"


class Killed(BaseException):
    """Ends a job as a kill does: nobody catches it."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    given = [rows.row(each) if each % 4 else {"query": "a"} for each in range(10)]
    return rows.write_lines(tmp_path / "in.jsonl", given)


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, bool], None]:
    """Ends the process at the n-th file that is written: before it is there, or after."""
    write = Folder.write
    left = {"writes": -1, "before": 0}

    def counted(self: Folder, path: Path, fill: Callable[[IO[bytes]], object]) -> None:
        left["writes"] -= 1
        if left["writes"] == 0 and left["before"]:
            # What a kill leaves behind of a file.
            half = self.path / "_resift/unfinished/half"
            half.parent.mkdir(exist_ok=True)
            half.write_bytes(b"half")
            raise Killed
        write(self, path, fill)
        if left["writes"] == 0:
            raise Killed

    monkeypatch.setattr(Folder, "write", counted)
    return lambda at, before: left.update(writes=at, before=before)


def test_wherever_it_is_cut_the_output_is_that_of_one_run(
    tiny: Path, tmp_path: Path, source: Path, writes: Callable[[int, bool], None]
) -> None:
    asked = rows.asked(tiny, block_rows=3)
    whole = rows.rerank(source, tmp_path / "whole", asked)
    expected = rows.content(tmp_path / "whole")
    assert len(expected) == 5
    # Job and plan; part, note and time of each of four blocks; rejected rows and report.
    last = 2 + 4 * 3 + 2
    for at in range(1, last + 1):
        for before in (True, False):
            out = tmp_path / f"out{at}{before}"
            writes(at, before)
            with pytest.raises(Killed):
                rows.rerank(source, out, asked)
            writes(-1, False)
            report = rows.rerank(source, out, asked)
            assert rows.content(out) == expected
            assert not list(out.glob("_resift/unfinished/*"))
            names = ("rows", "ranked", "rejected", "pairs", "tokens", "kept", "ran", "blocks")
            assert [getattr(report, x) for x in names] == [getattr(whole, x) for x in names]
    writes(last + 1, True)
    rows.rerank(source, tmp_path / "untouched", asked)


def test_a_block_that_is_done_isnt_ranked_again(
    tiny: Path, tmp_path: Path, source: Path, writes: Callable[[int, bool], None]
) -> None:
    asked = rows.asked(tiny, block_rows=3)
    # Job, plan, and twice part, note and time.
    writes(8, False)
    with pytest.raises(Killed):
        rows.rerank(source, tmp_path / "out", asked)
    parts = {each: each.stat().st_mtime_ns for each in (tmp_path / "out").glob("part-*")}
    assert len(parts) == 2
    shown: list[tuple[int, int]] = []
    report = rerank_files(
        source, tmp_path / "out", asked, progress=lambda done, total: shown.append((done, total))
    )
    assert shown == [(6, 10), (9, 10), (10, 10)]
    assert {each: each.stat().st_mtime_ns for each in parts} == parts
    assert report.runs == 2
    again = rows.rerank(source, tmp_path / "out", asked)
    assert (again.runs, again.rows, again.seconds) == (2, 10, report.seconds)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"options": {"max_length": 20}}, r"options\.max_length was null and is 20"),
        ({"task": Rank(top_n=2)}, r"task\.top_n was null and is 2"),
        ({"task": Score()}, "task.kind was"),
        ({"columns": {"query": "q"}}, r"columns\.query was"),
        ({"block_rows": 4}, "block_rows was 3 and is 4"),
        ({"most_documents": 4}, "most_documents was"),
    ],
)
def test_another_job_is_refused(
    tiny: Path, tmp_path: Path, source: Path, change: dict[str, Any], said: str
) -> None:
    rows.rerank(source, tmp_path / "out", rows.asked(tiny, block_rows=3))
    with pytest.raises(InvalidRequestError, match=f"has another job: .*{said}"):
        rows.rerank(source, tmp_path / "out", rows.asked(tiny, **{"block_rows": 3, **change}))


def test_options_that_change_no_score_may_be_others(
    tiny: Path, tmp_path: Path, source: Path
) -> None:
    rows.rerank(source, tmp_path / "out", rows.asked(tiny))
    rows.rerank(source, tmp_path / "out", rows.asked(tiny, options={"threads": 1}))


def test_another_model_is_refused(tiny: Path, tmp_path: Path, source: Path) -> None:
    import tiny_models

    model = tmp_path / "model"
    tiny_models.build(model)
    rows.rerank(source, tmp_path / "out", rows.asked(model))
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (model / "config.json").write_text(json.dumps({**config, "changed": 1}), encoding="utf-8")
    with pytest.raises(InvalidRequestError, match=r"model\.identity was"):
        rows.rerank(source, tmp_path / "out", rows.asked(model))


def test_a_worker_with_another_model_is_refused(tiny: Path, tmp_path: Path, source: Path) -> None:
    from resift.datasets import Worker

    asked = rows.asked(tiny)
    rows.rerank(source, tmp_path / "out", asked)
    job = Job.read(tmp_path / "out", tmp_path)
    file = tmp_path / "out/_resift/job.json"
    content = json.loads(file.read_bytes())
    content["model"]["identity"] = "0" * 64
    file.write_text(json.dumps(content), encoding="utf-8")
    Worker(job, asked.ranker())
    with pytest.raises(InvalidRequestError, match="need the same one"):
        Worker(Job.read(tmp_path / "out", tmp_path), asked.ranker())


def test_other_input_is_refused(tiny: Path, tmp_path: Path, source: Path) -> None:
    asked = rows.asked(tiny, block_rows=3)
    rows.rerank(source, tmp_path / "out", asked)
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace("good", "evil"), encoding="utf-8")
    with pytest.raises(InvalidRequestError, match=r"files\.in\.jsonl\.sha256 was"):
        rows.rerank(source, tmp_path / "out", asked)
    source.write_text(f"{text}\n", encoding="utf-8")
    with pytest.raises(InvalidRequestError, match=r"files\.in\.jsonl\.bytes was"):
        rows.rerank(source, tmp_path / "out", asked)


def test_the_same_input_elsewhere_is_the_same_job(tiny: Path, tmp_path: Path, source: Path) -> None:
    asked = rows.asked(tiny, block_rows=3)
    rows.rerank(source, tmp_path / "out", asked)
    (tmp_path / "moved").mkdir()
    moved = source.rename(tmp_path / "moved/in.jsonl")
    (tmp_path / "out/_resift/blocks/1.json").unlink()
    assert rows.rerank(moved, tmp_path / "out", asked).rows == 10


def test_folders_of_others_are_refused(tiny: Path, tmp_path: Path, source: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine", encoding="utf-8")
    for out in (tmp_path / "full", source):
        with pytest.raises(InvalidRequestError, match="isn't an empty folder"):
            rows.rerank(source, out, rows.asked(tiny))
    assert [each.name for each in (tmp_path / "full").iterdir()] == ["mine.txt"]
    (tmp_path / "in").mkdir()
    source.rename(tmp_path / "in/a.jsonl")
    with pytest.raises(InvalidRequestError, match="is inside"):
        rows.rerank(tmp_path / "in", tmp_path / "in/out", rows.asked(tiny))


def test_two_at_once_are_refused(tiny: Path, tmp_path: Path, source: Path) -> None:
    with (
        Folder(tmp_path / "out").claimed(),
        pytest.raises(InvalidRequestError, match="written by another"),
    ):
        rows.rerank(source, tmp_path / "out", rows.asked(tiny))
    rows.rerank(source, tmp_path / "out", rows.asked(tiny))


@pytest.mark.parametrize("damage", ["cut", "gone", "forgotten"])
def test_a_part_that_lost_rows_is_found_and_can_be_mended(
    tiny: Path, tmp_path: Path, source: Path, damage: str
) -> None:
    asked = rows.asked(tiny, block_rows=3)
    rows.rerank(source, tmp_path / "out", asked)
    before = rows.content(tmp_path / "out")
    part = tmp_path / "out/part-000001.jsonl"
    if damage == "cut":
        part.write_bytes(part.read_bytes().split(b"\n")[0] + b"\n")
    elif damage == "gone":
        part.unlink()
    else:
        note = tmp_path / "out/_resift/blocks/1.json"
        content = json.loads(note.read_bytes())
        assert content["rejected"]
        note.write_text(json.dumps({**content, "rejected": []}), encoding="utf-8")
    with pytest.raises(InvalidRequestError, match=r"remove _resift/blocks/1\.json"):
        rows.rerank(source, tmp_path / "out", asked)
    (tmp_path / "out/_resift/blocks/1.json").unlink()
    rows.rerank(source, tmp_path / "out", asked)
    assert rows.content(tmp_path / "out") == before


def test_a_file_is_replaced_as_a_whole_or_stays(tmp_path: Path) -> None:
    def fail(file: IO[bytes]) -> None:
        file.write(b"ne")
        raise OSError("no space left")

    folder, path = Folder(tmp_path), tmp_path / "part"
    folder.write(path, lambda file: file.write(b"old"))
    with path.open("rb") as before:
        folder.write(path, lambda file: file.write(b"new"))
        assert (before.read(), path.read_bytes()) == (b"old", b"new")
    with pytest.raises(OSError, match="no space left"):
        folder.write(path, fail)
    assert path.read_bytes() == b"new"
    assert not list((tmp_path / "_resift/unfinished").iterdir())


def test_input_that_changes_meanwhile_is_found(
    tiny: Path, tmp_path: Path, source: Path, writes: Callable[[int, bool], None]
) -> None:
    asked = rows.asked(tiny, block_rows=3)
    text = source.read_text(encoding="utf-8")
    writes(2, False)
    with pytest.raises(Killed):
        rows.rerank(source, tmp_path / "out", asked)
    job = Job.read(tmp_path / "out", tmp_path)
    source.write_text(text.replace("bad", "dab"), encoding="utf-8")
    for block in job.blocks:
        with pytest.raises(InvalidRequestError, match="has changed since"):
            job.form.read(source, block.part)


def test_killed_by_the_system_it_goes_on(tiny: Path, tmp_path: Path) -> None:
    many = [rows.row(number) for number in range(400)]
    source = rows.write_lines(tmp_path / "in.jsonl", many)
    command = ["rerank-dataset", str(source), "OUT", "--model", str(tiny), "--block-rows", "5"]
    out = tmp_path / "out"
    command[2] = str(out)
    process = subprocess.Popen([sys.executable, "-c", _RESIFT, *command])
    try:
        deadline = time.monotonic() + 60
        while len(list(out.glob("_resift/blocks/*.json"))) < 3:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    done = len(list(out.glob("_resift/blocks/*.json")))
    assert 3 <= done < 80
    assert main(command) == 0
    command[2] = str(tmp_path / "whole")
    assert main(command) == 0
    assert rows.content(out) == rows.content(tmp_path / "whole")
    assert json.loads((out / "_report.json").read_bytes())["runs"] == 2


def test_asked_is_the_same_after_it_was_written() -> None:
    options = {"prior": 0.5, "normalization": "none", "threads": 1}
    asked = Asked(columns=Columns(), task=Rank(top_n=3), options=options)
    again = Asked.of(json.loads(json.dumps(asked.to_dict())))
    assert again == asked
    assert again.to_dict() == asked.to_dict()
