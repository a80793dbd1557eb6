"""Recordings that can't be written, which is no error of the caller."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from recording.files import SALT, lines

from resift.recording import Recorder
from resift.testing import QUERY, TEXTS


def test_a_full_disk_is_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder("/dev/full", text=True, salt=SALT)
    with caplog.at_level(logging.WARNING, "resift"):
        for _ in range(3):
            recorder.record("sentinel", ["sentinel"])
    assert (recorder.written, recorder.failed) == (0, 3)
    (logged,) = caplog.records
    assert "No space left" in logged.getMessage()
    assert "sentinel" not in caplog.text


FILLS = """
import resource, sys
from resift.recording import Recorder
recorder = Recorder(sys.argv[1], text=True, salt="a salt for the tests")
recorder.record("before", ["x" * 500])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
recorder.record("too much", ["x" * 500])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
recorder.record("after", ["x" * 500])
assert (recorder.written, recorder.failed) == (2, 1)
"""


def test_a_line_that_does_not_fit_leaves_nothing_behind(path: Path) -> None:
    subprocess.run([sys.executable, "-c", FILLS, str(path)], check=True)
    assert [line["query"] for line in lines(path)] == ["before", "after"]


def test_a_folder_that_went_away_is_no_error_of_the_caller(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    recorder = Recorder(folder / "traffic.jsonl")
    folder.rmdir()
    recorder.record(QUERY, TEXTS)
    folder.mkdir()
    recorder.record(QUERY, TEXTS)
    assert (recorder.written, recorder.failed) == (1, 1)


@pytest.mark.parametrize(
    ("query", "documents", "options"),
    [
        (7, ["text"], {}),
        ("q", 7, {}),
        ("q", ["text", 7], {}),
        ("q", ["text"], {"ids": ["a", "b"]}),
        ("q", ["text"], {"first_stage_scores": []}),
    ],
)
def test_what_cannot_be_recorded_is_counted(
    path: Path, query: Any, documents: Any, options: Any, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(path, text=True)
    recorder.record(query, documents, **options)
    assert (recorder.written, recorder.failed) == (0, 1)
    assert "text" not in caplog.text
    assert not path.exists()
