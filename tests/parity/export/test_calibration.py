"""Queries, documents and grades that an export is measured on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from parity.export.logits import engine_logits, source_logits
from parity.texts import DOCUMENTS, QUERY

import resift.export.command as exporting
from resift import InvalidRequestError
from resift.export import calibration


def test_calibration_grades_give_ndcg(bert: Path, tmp_path: Path) -> None:
    expected = source_logits(bert, DOCUMENTS[:12])
    best = int(expected.argmax())
    grades = [int(index == best) for index in range(12)]
    line = {"query": QUERY, "documents": DOCUMENTS[:12], "grades": grades}
    file = tmp_path / "lines"
    lines = [line, {**line, "grades": None}, {**line, "grades": [0] * 12}]
    file.write_text("\n\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    card = exporting.export(bert, tmp_path / "out", "int8", file)
    metrics = card["metrics"]
    assert metrics["calibration"]["queries"] == 3
    assert metrics["calibration"]["pairs"] == 36
    # Of the first query alone: the others have nothing that could be found.
    assert metrics["ndcg@10"]["gains"] == "linear"
    assert metrics["ndcg@10"]["calibration"]["source"] == 1.0
    found = engine_logits(tmp_path / "out", DOCUMENTS[:12])
    difference = float(np.abs(found - expected).max())
    assert metrics["calibration"]["max_logit_difference"] == pytest.approx(difference, rel=1e-2)
    assert difference < card["tolerance"] < 21 * difference
    place = int((found > found[best]).sum())
    ndcg = 1 / np.log2(2 + place) if place < 10 else 0.0
    assert metrics["ndcg@10"]["calibration"]["int8"] == pytest.approx(ndcg, abs=1e-4)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "3",
        '{"query": "a"}',
        '{"query": "a", "documents": []}',
        '{"query": "a", "documents": "b"}',
        '{"query": "a", "documents": [1]}',
        '{"query": "a", "documents": ["b"], "grades": [1, 2]}',
        '{"query": "a", "documents": ["b"], "grades": ["much"]}',
        '{"query": "a", "documents": ["b"], "grades": [-1]}',
    ],
)
def test_invalid_calibration_is_named_by_line(line: str, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_text('{"query": "a", "documents": ["b"]}\n' + line, encoding="utf-8")
    with pytest.raises(InvalidRequestError, match=r"lines:2"):
        calibration.read_groups(file)
