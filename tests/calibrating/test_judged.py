"""``resift calibrate`` with judged lines: calibrations that hold on other queries."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Mapping
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from calibrating.lines import read, run, searched, without, write
from installed import require

from resift import Calibration, InvalidRequestError, Reranker


def test_from_judged_lines_to_scores(
    tiny: Path, judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require("matplotlib")
    out, report = tmp_path / "tiny.json", tmp_path / "report"
    goals = ("--for-precision", 0.8, "--for-recall", 0.9, "--positives-in-use", 0.05)
    assert run(judged, "--model", tiny, "--out", out, "--report", report, *goals) == 0
    said = capsys.readouterr().out
    assert "360 pairs of 60 queries" in said
    assert "in use 5.00% are relevant" in said
    assert "recall 0.9: score_threshold" in said

    content = read(out)
    assert (content["format"], content["kind"], content["name"]) == (1, "platt", "tiny")
    assert content["slope"] == pytest.approx(2, abs=0.5)
    assert content["intercept"] == pytest.approx(-1, abs=0.4)
    assert len(content["digest"]) == 64
    assert content["fitted"]["queries"] == 60
    found = content["report"]
    assert found["after"]["log_loss"]["value"] < found["before"]["log_loss"]["value"]
    assert found["in_use"]["ece"]["value"] < found["in_use_unshifted"]["ece"]["low"]

    logit, score = (
        Reranker(tiny, normalization=each).score("a", ["good a"])[0] for each in ("none", str(out))
    )
    shifted = content["slope"] * logit + content["intercept"] + content["shift"]
    assert score == pytest.approx(1 / (1 + np.exp(-shifted)))
    check_page(report)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, Mapping[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def check_page(report: Path) -> None:
    """One page that works offline, with a described plot for each quality."""
    page = Page()
    text = (report / "report.html").read_text(encoding="utf-8")
    page.feed(text)
    names = [tag for tag, _ in page.tags]
    assert names.count("svg") == names.count("desc") == names.count("figcaption") == 4
    assert not {"script", "link", "img", "iframe"}.intersection(names)
    assert not [1 for _, given in page.tags if {"src", "href"}.intersection(given)]
    content = read(report / "report.json")
    assert content["report"]["kind"] == content["kind"]
    bins = content["report"]["after"]["equal_counts"]
    assert sum(each["pairs"] for each in bins) == 360
    assert all(each["observed_low"] <= each["observed"] <= each["observed_high"] for each in bins)


def test_a_calibration_holds_on_other_queries(tiny: Path, tmp_path: Path) -> None:
    fit = write(tmp_path / "fit.jsonl", searched(tiny, seed=1, queries=150))
    assert run(fit, "--model", tiny, "--out", tmp_path / "c.json", "--for-recall", 0.9) == 0
    content = read(tmp_path / "c.json")
    others = searched(tiny, seed=2, queries=150)
    reranker = Reranker(tiny, normalization=Calibration.load(tmp_path / "c.json"))
    texts = [each["text"] for line in others for each in line["candidates"]]
    scores = np.array(reranker.score("a", texts))
    labels = np.array([each["grade"] for line in others for each in line["candidates"]])
    for low, high in ((0.0, 0.3), (0.3, 0.7), (0.7, 1.0)):
        own = (scores >= low) & (scores < high)
        assert labels[own].mean() == pytest.approx(scores[own].mean(), abs=0.06)
    brier = content["report"]["after"]["brier"]
    margin = brier["high"] - brier["low"]
    assert float(((scores - labels) ** 2).mean()) == pytest.approx(brier["value"], abs=margin)
    threshold = content["report"]["thresholds"][0]["threshold"]["value"]
    assert labels[scores >= threshold].sum() / labels.sum() == pytest.approx(0.9, abs=0.07)


def test_the_prior_that_is_fitted_with_is_the_prior_that_is_used(
    tiny: Path, judged: Path, tmp_path: Path
) -> None:
    out = tmp_path / "p.json"
    assert run(judged, "--model", tiny, "--prior", 0.3, "--out", out) == 0
    assert read(out)["prior"]["place_weight"] == 0.3
    texts = ["good a", "good b"]
    ranking = Reranker(tiny, normalization=str(out), prior="auto").rank("a", texts)
    assert ranking.prior is not None and ranking.prior.place_weight == 0.3  # noqa: PT018
    assert Reranker(tiny, normalization=str(out), prior=0.3).rank("a", texts)[0].score
    for prior in (None, 0.2):
        with pytest.raises(InvalidRequestError, match="was fitted with Prior"):
            Reranker(tiny, normalization=str(out), prior=prior).rank("a", texts)
    with pytest.raises(InvalidRequestError, match="use rank"):
        Reranker(tiny, normalization=str(out), prior="auto").score("a", texts)
    assert run(judged, "--model", tiny, "--out", out) == 0
    ranking = Reranker(tiny, normalization=str(out), prior="auto").rank("a", texts)
    assert ranking.prior is None
    with pytest.raises(InvalidRequestError, match="was fitted with no prior"):
        Reranker(tiny, normalization=str(out)).rank("a", texts, prior=0.3)


def test_the_share_in_use_is_estimated_from_traffic(
    tiny: Path, judged: Path, tmp_path: Path
) -> None:
    traffic = without(searched(tiny, seed=3, queries=100), "grade")
    file = write(tmp_path / "traffic.jsonl", traffic)
    assert run(judged, "--model", tiny, "--traffic", file, "--out", tmp_path / "t.json") == 0
    fitted = read(tmp_path / "t.json")["fitted"]
    assert fitted["share_in_use"] == pytest.approx(fitted["share_in_fit"], abs=0.08)


@pytest.mark.slow
def test_the_bundled_model_on_real_questions(tmp_path: Path) -> None:
    """Questions with a passage that answers each, among those of others, fitted on the first half.

    ``RESIFT_PAIRS`` is a gzipped file of JSON lines with ``q`` and ``pos``.
    """
    given = os.environ.get("RESIFT_PAIRS")
    if not given:
        pytest.skip("RESIFT_PAIRS isn't set")
    with gzip.open(given, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in islice(file, 400)]
    lines = [
        {
            "query_id": str(at),
            "query": row["q"],
            "candidates": [
                {"id": str(n), "text": rows[(at + n * 37) % len(rows)]["pos"], "grade": int(n == 0)}
                for n in range(4)
            ],
        }
        for at, row in enumerate(rows)
    ]
    fit = write(tmp_path / "fit.jsonl", lines[::2])
    other = write(tmp_path / "other.jsonl", lines[1::2])
    out = tmp_path / "c.json"
    goals = ("--for-precision", 0.9, "--for-recall", 0.9)
    assert run(fit, "--model", "resift-nano", "--out", out, *goals) == 0
    reranker = Reranker("resift-nano", normalization=str(out))
    scores, labels = [], []
    for line in map(json.loads, other.read_text(encoding="utf-8").splitlines()):
        scores += reranker.score(line["query"], [each["text"] for each in line["candidates"]])
        labels += [each["grade"] for each in line["candidates"]]
    found, truth = np.array(scores), np.array(labels)
    report = read(out)["report"]
    brier, plain = report["after"]["brier"], report["before"]["brier"]
    margin = brier["high"] - brier["low"]
    assert float(((found - truth) ** 2).mean()) == pytest.approx(brier["value"], abs=margin)
    assert brier["value"] <= plain["high"]
    precision, recall = report["thresholds"]
    kept = found >= precision["threshold"]["value"]
    assert truth[kept].mean() >= precision["precision"]["low"] - 0.02
    kept = found >= recall["threshold"]["value"]
    assert truth[kept].sum() / truth.sum() == pytest.approx(0.9, abs=0.08)
