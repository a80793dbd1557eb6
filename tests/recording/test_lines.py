"""Lines of a recording of real traffic."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recording.files import SALT, lines

from resift import Reranker
from resift.recording import Recorder
from resift.testing import QUERY, TEXTS, texts_strategy


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
