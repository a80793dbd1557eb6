"""Words and ids that a recording doesn't have, and its files' modes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from recording.files import SALT, lines, names

from resift.recording import Recorder
from resift.testing import QUERY, TEXTS


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
