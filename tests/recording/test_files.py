"""Files of a recording: many writers, full ones, and options."""

from __future__ import annotations

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from recording.files import lines, names

from resift import InvalidRequestError
from resift.recording import Recorder

TEXT = "a long text, so that lines of several writers would be seen to mix. " * 30


def test_lines_of_threads_are_whole(path: Path) -> None:
    recorder = Recorder(path, text=True)

    def write(thread: int) -> None:
        for n in range(100):
            recorder.record(f"{thread} {n}", [TEXT] * 3)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert {line["query"] for line in lines(path)} == {
        f"{t} {n}" for t in range(8) for n in range(100)
    }
    assert (recorder.written, recorder.failed) == (800, 0)


WRITE = """
import sys
from resift.recording import Recorder
path, process, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
recorder = Recorder(path, text=True, max_bytes=size, keep=50)
for n in range(100):
    recorder.record(f"{process} {n}", ["a long text " * 100])
assert recorder.failed == 0, recorder.failed
"""


@pytest.mark.parametrize("size", [10**9, 20_000], ids=["one file", "put aside"])
def test_lines_of_processes_are_whole_and_under_one_salt(path: Path, size: int) -> None:
    command = [sys.executable, "-c", WRITE, str(path)]
    processes = [subprocess.Popen([*command, str(n), str(size)]) for n in range(3)]
    assert [each.wait() for each in processes] == [0, 0, 0]
    files = sorted(path.parent.glob("*.jsonl"))
    found = [line for each in files for line in lines(each)]
    assert {line["query"] for line in found} == {f"{p} {n}" for p in range(3) for n in range(100)}
    assert len(found) == 300
    salted = Recorder(path)
    assert all(line["query_id"] == salted.query_id(line["query"]) for line in found)
    assert (len(files) > 10) == (size < 10**9)


def test_a_full_file_is_put_aside(path: Path) -> None:
    recorder = Recorder(path, text=True, max_bytes=2000, keep=2)
    for n in range(40):
        recorder.record(f"query {n}", ["x" * 300])
    aside = ["traffic.1.jsonl", "traffic.2.jsonl"]
    assert names(path.parent) == [*aside, "traffic.jsonl", "traffic.jsonl.salt"]
    order = ["traffic.2.jsonl", "traffic.1.jsonl", "traffic.jsonl"]
    kept = [line["query"] for name in order for line in lines(path.with_name(name))]
    assert kept == [f"query {n}" for n in range(40 - len(kept), 40)]
    assert all(path.with_name(name).stat().st_size <= 2000 for name in order)


def test_a_line_larger_than_a_file_has_one_to_itself(path: Path) -> None:
    recorder = Recorder(path, text=True, max_bytes=100, keep=1)
    recorder.record("one", ["x" * 300])
    recorder.record("two", ["x" * 300])
    assert [each["query"] for each in lines(path)] == ["two"]
    assert [each["query"] for each in lines(path.with_name("traffic.1.jsonl"))] == ["one"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"rate": 1.5}, "rate"),
        ({"rate": -0.1}, "rate"),
        ({"rate": math.nan}, "rate"),
        ({"rate": True}, "rate"),
        ({"rate": "0.1"}, "rate"),
        ({"text": 1}, "text"),
        ({"hash_ids": None}, "hash_ids"),
        ({"salt": "short"}, "salt"),
        ({"salt": b"a salt for the tests"}, "salt"),
        ({"max_bytes": 0}, "max_bytes"),
        ({"keep": 0}, "keep"),
        ({"keep": None}, "keep"),
        ({"path": "no/such/folder/traffic.jsonl"}, "path"),
        ({"path": "."}, "path"),
        ({"path": ""}, "path"),
        ({"path": None}, "path"),
        ({"path": 7}, "path"),
    ],
    ids=str,
)
def test_a_wrong_option_raises(path: Path, options: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequestError, match=named) as caught:
        Recorder(**{"path": path, **options})
    if named == "salt":
        assert str(options["salt"]) not in str(caught.value)
