"""Calibrations and reports that ``resift calibrate`` writes, and the same in Python."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from calibrating.lines import Lines, read, run

from resift import Calibration, InvalidRequestError, Reranker
from resift.calibrating import calibrate
from resift.logistic import sigmoid


def test_a_report_needs_an_extra(
    judged: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    out = tmp_path / "never.json"
    assert run(judged, "--recorded", "--out", out, "--report", tmp_path / "report") == 3
    assert "pip install 'resift[evaluate]'" in capsys.readouterr().err
    assert not out.exists()


def test_recorded_logits_are_bound_to_the_models_name(
    tiny: Path, judged: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r.json"
    assert run(judged, "--recorded", "--out", out) == 0
    content = read(out)
    assert (content["model"], content["digest"]) == ("recorded-model", None)
    with pytest.raises(InvalidRequestError, match="was fitted to recorded-model, by its name"):
        Reranker(tiny, normalization=str(out)).score("a", ["good"])


def test_where_a_calibration_can_be_written(
    judged: Path, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(judged, "--recorded", "--out", "my-search") == 0
    assert "use it as normalization='my-search'" in capsys.readouterr().out
    assert (cache / "calibrations/my-search.json").is_file()
    assert Calibration.load("my-search").name == "my-search"
    assert run(judged, "--recorded", "--out", tmp_path / "x.txt") == 2
    assert "neither the path of a .json file nor a name" in capsys.readouterr().err
    assert run(judged, "--recorded", "--out", "no name") == 2


def test_in_python(tiny: Path, lines: Lines) -> None:
    rows = [(c["logit"], c["grade"], q["query_id"]) for q in lines for c in q["candidates"]]
    logits, labels, queries = zip(*rows, strict=True)
    reranker = Reranker(tiny)
    fitted = calibrate(logits, labels, queries, model=reranker, precision=[0.7])
    assert fitted.normalization.digest is not None
    assert fitted.report.advice.startswith("Use it")
    again = Reranker(tiny, normalization=fitted.normalization)
    assert 0 < again.score("a", ["good"])[0] < 1


def test_a_report_says_where_a_calibration_gains_nothing() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 600)
    labels = (rng.random(600) < sigmoid(logits)).astype(float)
    fitted = calibrate(logits.tolist(), labels.tolist(), [at // 10 for at in range(600)], model="m")
    assert fitted.report.advice.startswith("It may be no better than the sigmoid")
    assert fitted.normalization.kind == "temperature"
