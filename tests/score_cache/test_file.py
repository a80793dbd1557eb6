"""The file of a cache of scores: what may happen to it, and who may read it."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from pathlib import Path

import pytest
from numbers_scorer import Numbers
from score_cache.caching import on_file

from resift import Ranking, Reranker
from resift.scoring import Cached, Local


def fill(folder: Path, digest: str = "d") -> tuple[Reranker, Numbers]:
    scorer = Numbers(digest=digest)
    return Reranker(scorer=Cached(scorer, folder=folder), normalization="none"), scorer


MANY = [str(n) for n in range(300)]


def check_right(reranker: Reranker) -> Ranking:
    ranking = reranker.rank("q", MANY)
    assert [(r.index, r.logit) for r in ranking] == [(n, float(n)) for n in reversed(range(300))]
    assert ranking.counts.cached + ranking.counts.pairs == 300
    return ranking


def test_damage_makes_no_other_score(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    check_right(fill(tmp_path)[0])
    good = on_file(tmp_path).read_bytes()
    noticed = 0
    for seed in range(150):
        rng = random.Random(seed)
        damaged = bytearray(good)
        for _ in range(rng.choice([1, 5, 50])):
            at = rng.randrange(len(damaged))
            damaged[at] ^= 1 << rng.randrange(8)
        on_file(tmp_path).write_bytes(damaged)
        caplog.clear()
        check_right(fill(tmp_path)[0])
        noticed += bool(caplog.messages)
    # SQLite's own bytes aren't sealed: what they lose may only not be found.
    assert noticed > 75


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"SQLite format 3\0" + bytes(4096), random.Random(0).randbytes(8192)],
    ids=["empty", "text", "header", "noise"],
)
def test_a_file_of_another_kind_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    check_right(fill(tmp_path)[0])
    path = on_file(tmp_path)
    path.write_bytes(content)
    reranker, scorer = fill(tmp_path)
    check_right(reranker)
    check_right(reranker)
    if content:
        assert path.read_bytes() == content
        assert str(path) in caplog.text
        assert len(caplog.messages) == 1
        assert scorer.asked == [tuple(MANY)] * 2
    else:
        # As SQLite leaves one that it has just made.
        assert (caplog.messages, scorer.asked) == ([], [tuple(MANY)])


def test_a_truncated_file_makes_no_other_score(tmp_path: Path) -> None:
    check_right(fill(tmp_path)[0])
    good = on_file(tmp_path).read_bytes()
    for size in (1, 50, 4096, 5000, len(good) // 2, len(good) - 1):
        on_file(tmp_path).write_bytes(good[:size])
        check_right(fill(tmp_path)[0])


def test_a_database_of_another_program_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    check_right(fill(tmp_path)[0])
    path = on_file(tmp_path)
    path.unlink()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE scores (key BLOB, value BLOB)")
    database.commit()
    database.close()
    before = path.read_bytes()
    check_right(fill(tmp_path)[0])
    assert path.read_bytes() == before
    assert "another program" in caplog.text


def test_an_entry_under_another_key_is_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    check_right(fill(tmp_path)[0])
    database = sqlite3.connect(on_file(tmp_path))
    database.execute("UPDATE scores SET value = (SELECT value FROM scores WHERE id = 7)")
    database.commit()
    database.close()
    reranker, scorer = fill(tmp_path)
    check_right(reranker)
    assert "an entry is damaged" in caplog.text
    # What was scored again is written again.
    for _ in range(2):
        check_right(reranker)
    scorer.asked.clear()
    assert check_right(reranker).counts.cached == 300


def test_a_locked_file_is_done_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reranker, scorer = fill(tmp_path)
    check_right(reranker)
    database = sqlite3.connect(on_file(tmp_path), isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    start = time.monotonic()
    check_right(reranker)
    assert time.monotonic() - start < 5
    assert "locked" in caplog.text
    database.execute("ROLLBACK")
    database.close()
    assert check_right(reranker).counts.cached == 300
    assert len(scorer.asked) == 2


def test_a_folder_that_cannot_be_made_is_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    reranker, _ = fill(tmp_path / "file/cache")
    check_right(reranker)
    check_right(reranker)
    (message,) = caplog.messages
    assert "can't be used" in message


def test_nothing_of_a_query_or_text_is_on_disk(tmp_path: Path, tiny: Path) -> None:
    scorer = Cached(Local(tiny, backend="onnx"), folder=tmp_path)
    Reranker(scorer=scorer).rank("a secret question", ["a confidential answer"])
    content = on_file(tmp_path).read_bytes()
    assert not [word for word in (b"secret", b"confidential", b"answer") if word in content]


def test_a_folder_is_for_its_user_alone(tmp_path: Path) -> None:
    check_right(fill(tmp_path / "cache")[0])
    if os.name == "posix":
        assert (tmp_path / "cache").stat().st_mode & 0o077 == 0
