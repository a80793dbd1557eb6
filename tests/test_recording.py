"""Recording real traffic: what is written, what isn't, and what happens where it can't be."""

from __future__ import annotations

import json
import logging
import math
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resift import InvalidRequestError, Reranker
from resift.recording import Candidate, Recorder
from resift.testing import QUERY, TEXTS, texts_strategy

SALT = "a salt for the tests"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traffic.jsonl"


# What is written


def test_a_line_has_the_query_and_its_candidates(path: Path) -> None:
    recorder = Recorder(path, text=True, hash_ids=False)
    recorder.record(QUERY, ["one", None], ids=["a", "b"], first_stage_scores=[0.5, None])
    (line,) = lines(path)
    assert line.pop("query_id") == recorder.query_id(QUERY)
    assert datetime.fromisoformat(line.pop("at")).utcoffset() is not None
    nothing = {"rank": None, "rank_score": None, "logit": None}
    assert line == {
        "query": QUERY,
        "candidates": [
            {"id": "a", "text": "one", "score": 0.5, **nothing},
            {"id": "b", "text": "", "score": None, **nothing},
        ],
        "model": None,
    }
    assert (recorder.written, recorder.failed) == (1, 0)


def test_a_ranking_adds_places_scores_and_logits(path: Path) -> None:
    ranking = Reranker().rank(QUERY, TEXTS, top_n=3)
    Recorder(path, text=True).record(QUERY, TEXTS, ranking=ranking)
    (line,) = lines(path)
    assert line["model"] == "resift-small"
    candidates = line["candidates"]
    assert [each["text"] for each in candidates] == list(TEXTS)
    for place, result in enumerate(ranking, start=1):
        each = candidates[result.index]
        assert (each["rank"], each["rank_score"], each["logit"]) == (
            place,
            result.score,
            result.logit,
        )
    assert sum(each["rank"] is None for each in candidates) == len(TEXTS) - 3


def test_only_finite_numbers_are_scores(path: Path) -> None:
    scores: list[Any] = [math.nan, math.inf, np.float32(0.5), 2, True, "0.5"]
    Recorder(path).record("q", ["text"] * 6, first_stage_scores=scores)
    (line,) = lines(path)
    assert [each["score"] for each in line["candidates"]] == [None, None, 0.5, 2.0, None, None]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_any_text_is_one_line_and_reads_the_same(tmp_path: Path, texts: list[str]) -> None:
    path = tmp_path / "any.jsonl"
    path.unlink(missing_ok=True)
    recorder = Recorder(path, text=True, salt=SALT)
    recorder.record("q" + texts[0], texts)
    assert path.read_bytes().count(b"\n") == 1
    (line,) = lines(path)
    assert line["query"] == "q" + texts[0]
    assert [each["text"] for each in line["candidates"]] == texts


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(texts=texts_strategy)
def test_texts_that_are_hardly_texts_are_written_too(tmp_path: Path, texts: list[Any]) -> None:
    path = tmp_path / "hardly.jsonl"
    path.unlink(missing_ok=True)
    recorder = Recorder(path, text=True, salt=SALT)
    recorder.record(QUERY, texts)
    assert recorder.failed == 0
    assert len(lines(path)[0]["candidates"]) == len(texts)


def test_a_lone_surrogate_is_replaced(path: Path) -> None:
    Recorder(path, text=True).record("q \ud800", ["\udfff"], ids=["\ud800"])
    (line,) = lines(path)
    assert (line["query"], line["candidates"][0]["text"]) == ("q \ufffd", "\ufffd")


def test_a_blank_query_is_not_recorded(path: Path) -> None:
    recorder = Recorder(path)
    recorder.record(" \n", TEXTS)
    assert not path.exists()
    assert (recorder.written, recorder.failed) == (0, 0)


def test_a_query_without_results_is_recorded(path: Path) -> None:
    Recorder(path).record(QUERY, [])
    assert lines(path)[0]["candidates"] == []


# What isn't


@pytest.mark.parametrize("named", [True, False])
def test_without_texts_no_word_is_written(path: Path, named: bool) -> None:
    recorder = Recorder(path)
    recorder.record(
        "sentinel-query",
        ["sentinel-text one", "sentinel-text two"],
        ids=["sentinel-id-1", "sentinel-id-2"] if named else None,
    )
    assert b"sentinel" not in path.read_bytes()
    (line,) = lines(path)
    assert line["query"] is None
    assert [each["text"] for each in line["candidates"]] == [None, None]
    assert len({each["id"] for each in line["candidates"]}) == 2


def test_with_texts_ids_are_still_hashed(path: Path) -> None:
    Recorder(path, text=True).record(QUERY, ["one"], ids=["sentinel-id"])
    assert b"sentinel-id" not in path.read_bytes()


def test_ids_are_joined_within_a_recording(path: Path) -> None:
    Recorder(path).record(QUERY, ["one"], ids=["a"])
    later = Recorder(path)
    later.record(QUERY, ["another"], ids=["a"])
    first, second = lines(path)
    assert first["query_id"] == second["query_id"] == later.query_id(QUERY)
    assert first["candidates"] == second["candidates"]
    assert first["candidates"][0]["id"] == later.document_id("a")


def test_ids_of_two_recordings_have_nothing_in_common(tmp_path: Path) -> None:
    ids = [Recorder(tmp_path / name).query_id(QUERY) for name in ("one.jsonl", "two.jsonl")]
    assert ids[0] != ids[1]
    assert Recorder(tmp_path / "one.jsonl").query_id("a") != Recorder(
        tmp_path / "one.jsonl"
    ).document_id("a")


def test_a_salt_that_is_given_is_the_same_everywhere_and_not_kept(tmp_path: Path) -> None:
    one, two = (Recorder(tmp_path / name, salt=SALT) for name in ("one.jsonl", "two.jsonl"))
    one.record(QUERY, ["text"])
    assert one.query_id(QUERY) == two.query_id(QUERY)
    assert names(tmp_path) == ["one.jsonl"]
    assert SALT not in repr(one)


def test_files_are_their_owners_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        Recorder(path).record(QUERY, TEXTS)
    finally:
        os.umask(before)
    salt = path.with_name("traffic.jsonl.salt")
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, salt)] == [0o600, 0o600]


# The sample


def test_the_rate_is_the_share_of_queries(path: Path) -> None:
    recorder = Recorder(path, rate=0.2, salt=SALT)
    for n in range(5000):
        recorder.record(f"query {n}", [])
    # Five standard deviations of a binomial distribution.
    assert abs(recorder.written - 1000) < 5 * math.sqrt(5000 * 0.2 * 0.8)
    assert len(lines(path)) == recorder.written


def test_the_same_query_is_always_in_or_out(path: Path) -> None:
    recorder = Recorder(path, rate=0.5)
    for _ in range(3):
        for n in range(100):
            recorder.record(f"query {n}", [])
    ids = [line["query_id"] for line in lines(path)]
    assert 0 < len(set(ids)) < 100
    assert len(ids) == 3 * len(set(ids))


def test_a_smaller_sample_is_part_of_a_larger_one(tmp_path: Path) -> None:
    found = []
    for rate in (0.1, 0.5):
        path = tmp_path / f"{rate}.jsonl"
        recorder = Recorder(path, rate=rate, salt=SALT)
        for n in range(300):
            recorder.record(f"query {n}", [])
        found.append({line["query_id"] for line in lines(path)})
    assert found[0] < found[1]


def test_rate_zero_writes_nothing(tmp_path: Path) -> None:
    Recorder(tmp_path / "traffic.jsonl", rate=0).record(QUERY, TEXTS)
    assert names(tmp_path) == []


def test_candidates_are_read_for_a_sampled_query_alone(path: Path) -> None:
    read: list[str] = []
    recorder = Recorder(path, rate=0.1, salt=SALT)
    for n in range(200):
        candidates = (Candidate(id=read.append(name), text="t") for name in [f"{n}"])  # type: ignore[func-returns-value]
        recorder.record_candidates(f"query {n}", candidates)
    assert len(read) == recorder.written
    assert 0 < recorder.written < 100


# Many writers

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


# What can't be written


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


# Options


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
