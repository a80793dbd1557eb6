"""The share of queries that is recorded."""

from __future__ import annotations

import math
from pathlib import Path

from recording.files import SALT, lines, names

from resift.recording import Candidate, Recorder
from resift.testing import QUERY, TEXTS


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
