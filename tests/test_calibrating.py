"""``resift calibrate``: from files to a calibration that holds on other queries."""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from installed import require

from resift import Calibration, InvalidRequestError, Reranker
from resift.calibrating import calibrate
from resift.cli.main import main
from resift.logistic import sigmoid

QUERIES, DOCUMENTS = 60, 6

Lines = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def words(rng: np.random.Generator) -> str:
    return " ".join(rng.choice(["good", "bad", "a", "b", "w1", "w9"], 3))


def searched(model: Path, *, seed: int = 0, queries: int = QUERIES) -> Lines:
    """Queries for the tiny model, whose documents are relevant with ``sigmoid(2 * logit - 1)``."""
    rng = np.random.default_rng(seed)
    reranker = Reranker(model, threads=1)
    lines = []
    for at in range(queries):
        texts = [words(rng) for _ in range(DOCUMENTS)]
        logits = np.array(reranker.score("a", texts, normalization="none"))
        relevant = rng.random(DOCUMENTS) < sigmoid(2 * logits - 1)
        lines.append(
            {
                "query_id": f"q{seed}-{at}",
                "query": "a",
                "model": "recorded-model",
                "candidates": [
                    {"id": f"d{n}", "text": text, "logit": float(logit), "grade": int(grade)}
                    for n, (text, logit, grade) in enumerate(
                        zip(texts, logits, relevant, strict=True)
                    )
                ],
            }
        )
    return lines


def write(path: Path, lines: Lines) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
    return path


def run(*arguments: object) -> int:
    return main(["calibrate", *map(str, arguments)])


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def without(lines: Lines, *names: str) -> Lines:
    """The same lines, whose candidates lack these keys."""
    return [
        {
            **line,
            "candidates": [
                {name: x for name, x in each.items() if name not in names}
                for each in line["candidates"]
            ],
        }
        for line in lines
    ]


@pytest.fixture(scope="module")
def lines(tiny: Path) -> Lines:
    return searched(tiny)


@pytest.fixture
def judged(lines: Lines, tmp_path: Path) -> Path:
    return write(tmp_path / "judged.jsonl", lines)


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


def test_recorded_logits_are_bound_to_the_models_name(
    tiny: Path, judged: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r.json"
    assert run(judged, "--recorded", "--out", out) == 0
    content = read(out)
    assert (content["model"], content["digest"]) == ("recorded-model", None)
    with pytest.raises(InvalidRequestError, match="was fitted to recorded-model, by its name"):
        Reranker(tiny, normalization=str(out)).score("a", ["good"])


def test_labels_qrels_and_grades_say_the_same(lines: Lines, tiny: Path, tmp_path: Path) -> None:
    bare = write(tmp_path / "bare.jsonl", without(lines, "grade"))
    grades = [
        (line["query_id"], each["id"], each["grade"])
        for line in lines for each in line["candidates"]
    ]  # fmt: skip
    labels = write(
        tmp_path / "labels.jsonl",
        # The first is taken back by the second.
        [{"query_id": grades[0][0], "document_id": grades[0][1], "grade": 7}]
        + [{"query_id": q, "document_id": d, "grade": g} for q, d, g in grades],
    )
    trec, beir = tmp_path / "trec.txt", tmp_path / "beir.tsv"
    trec.write_text("".join(f"{q} 0 {d} {g}\n" for q, d, g in grades), encoding="utf-8")
    head = "query-id\tcorpus-id\tscore\n"
    beir.write_text(head + "".join(f"{q}\t{d}\t{g}\n" for q, d, g in grades), encoding="utf-8")
    found = []
    for arguments in (
        (write(tmp_path / "own.jsonl", lines),), (bare, "--labels", labels),
        (bare, "--qrels", trec), (bare, "--qrels", beir),
    ):  # fmt: skip
        assert run(*arguments, "--model", tiny, "--out", tmp_path / "o.json") == 0
        found.append(read(tmp_path / "o.json")["intercept"])
    assert len(set(found)) == 1


def test_a_collection_with_a_run(lines: Lines, tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "collection"
    (folder / "qrels").mkdir(parents=True)
    corpus, queries, qrels, ranks = [], [], ["query-id\tcorpus-id\tscore"], []
    for line in lines:
        queries.append({"_id": line["query_id"], "text": line["query"]})
        for rank, each in enumerate(line["candidates"], start=1):
            name = f"{line['query_id']}-{each['id']}"
            corpus.append({"_id": name, "title": "", "text": each["text"]})
            ranks.append(f"{line['query_id']} Q0 {name} {rank} {9 - rank} bm25")
            if each["grade"]:
                qrels.append(f"{line['query_id']}\t{name}\t1")
    write(folder / "corpus.jsonl", corpus)
    write(folder / "queries.jsonl", queries)
    (folder / "qrels/test.tsv").write_text("\n".join(qrels), encoding="utf-8")
    (folder / "run.bm25.txt").write_text("\n".join(ranks), encoding="utf-8")
    out = tmp_path / "o.json"
    assert run(folder, "--model", tiny, "--out", out) == 2
    arguments = ("--model", tiny, "--out", out, "--unjudged", "not-relevant")
    assert run(folder, *arguments) == 0
    judged = sum(any(c["grade"] for c in line["candidates"]) for line in lines)
    assert read(out)["fitted"]["pairs"] == DOCUMENTS * judged
    assert run(folder, *arguments, "--depth", 3) == 0
    assert read(out)["fitted"]["pairs"] <= 3 * judged


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


def clicks_on(lines: Lines, *, moved: bool) -> Lines:
    rng = np.random.default_rng(0)
    found = []
    for line in lines:
        for _ in range(8):
            order = rng.permutation(DOCUMENTS) if moved else np.arange(DOCUMENTS)
            for rank, at in enumerate(order.tolist(), start=1):
                each = line["candidates"][at]
                found.append(
                    {
                        "query_id": line["query_id"], "document_id": each["id"], "rank": rank,
                        "clicked": bool(each["grade"] and rng.random() < 1 / rank),
                    }
                )  # fmt: skip
    return found


def test_clicks_are_weighed_by_rank(lines: Lines, tiny: Path, tmp_path: Path) -> None:
    shown = write(tmp_path / "shown.jsonl", without(lines, "grade"))
    clicks = write(tmp_path / "clicks.jsonl", clicks_on(lines, moved=True))
    out = tmp_path / "c.json"
    found = {}
    for how in ("equal", "inverse-rank", "estimate", "1,0.5,0.333,0.25,0.2,0.167"):
        given = (shown, "--clicks", clicks, "--propensities", how, "--kind", "platt")
        assert run(*given, "--model", tiny, "--out", out) == 0
        content = read(out)
        found[how] = content["intercept"]
        assert content["fitted"]["labels"].startswith("clicks, ")
        assert "what was clicked among what was shown" in content["report"]["notes"][0]
    assert found["equal"] < -1.6
    for how in ("inverse-rank", "estimate", "1,0.5,0.333,0.25,0.2,0.167"):
        assert found[how] == pytest.approx(-1, abs=0.45)


def test_clicks_that_say_nothing_are_refused(
    lines: Lines, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = write(tmp_path / "shown.jsonl", without(lines, "grade"))
    still = clicks_on(lines, moved=False)
    cases: list[tuple[Lines, str, str]] = [
        (still, "estimate", "propensities can't be estimated"),
        ([{**each, "clicked": False} for each in still], "equal", "0 of 2880 documents"),
        (still, "1,0.5", "no propensity for rank 3"),
        (still, "1,2", "above 0, up to 1"),
        (still, "soon", "propensities must be 'equal'"),
        ([{**each, "clicked": each["rank"] > 1} for each in still], "inverse-rank", "more than"),
        ([{**still[0], "document_id": "x"}, *still], "equal", "document 'x' of query 'q0-0'"),
        ([{**still[0], "rank": 0}], "equal", "clicks.jsonl:1: 'rank' must be a whole number"),
        ([{**still[0], "clicked": "yes"}], "equal", "clicks.jsonl:1: 'clicked' must be true"),
    ]  # fmt: skip
    for given, how, message in cases:
        clicks = write(tmp_path / "clicks.jsonl", given)
        arguments = (shown, "--clicks", clicks, "--propensities", how, "--model", tiny)
        assert run(*arguments, "--out", tmp_path / "never.json") == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "never.json").exists()


Change = Callable[[Lines], Any]


def put(key: str, value: Any) -> Change:
    return lambda lines: lines[1].update({key: value})


def put_in_candidate(key: str, value: Any) -> Change:
    return lambda lines: lines[1]["candidates"][2].update({key: value})


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (put("query_id", 3.5), (), ":2: 'query_id' must be a str or a whole number, not 3.5"),
        (put("candidates", {}), (), ":2: 'candidates' must be a list of objects, not {}"),
        (put_in_candidate("grade", 0.5), (), ":2: candidates[2]: 'grade' must be a whole number"),
        (put_in_candidate("logit", "x"), (), ":2: candidates[2]: 'logit' must be a number or null"),
        (put_in_candidate("logit", float("inf")), (), "candidates[2]: 'logit' must be finite"),
        (put_in_candidate("text", None), (), "query 'q0-1': candidates[2] has no text"),
        (put_in_candidate("logit", None), ("--recorded",), "candidates[2] has no 'logit'"),
        (put("query", None), (), "query 'q0-1' has no text"),
        (put("model", "another"), ("--recorded",), "found ['another', 'recorded-model']"),
        (lambda lines: lines.clear(), (), "no candidate has a grade"),
        (lambda lines: lines.__delitem__(slice(5, None)), (), "needs 10 of them at least; got 5"),
        (lambda lines: None, ("--relevant", "0"), "judged candidates are relevant"),
        (lambda lines: None, ("--kind", "isotonic"), "needs 1000 labels or more"),
        (lambda lines: None, ("--for-precision", "1.5"), "precision must be above 0, up to 1"),
        (lambda lines: None, ("--positives-in-use", "1"), "must lie between 0 and 1"),
        (lambda lines: None, ("--run", "x.txt"), "a run belongs to a folder"),
    ],
)  # fmt: skip
def test_malformed_input_is_named(
    lines: Lines, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    change: Change, arguments: tuple[str, ...], message: str,
) -> None:  # fmt: skip
    given: Lines = json.loads(json.dumps(lines))
    change(given)
    file = write(tmp_path / "judged.jsonl", given)
    assert run(file, "--model", tiny, "--out", tmp_path / "never.json", *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "never.json").exists()


def test_lines_that_are_no_json_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "judged.jsonl"
    for text, message in (
        ("\n{", "judged.jsonl:2 isn't JSON"),
        ("[1]", ":1 must be a JSON object"),
    ):
        file.write_text(text, encoding="utf-8")
        assert run(file, "--out", tmp_path / "o.json") == 2
        assert message in capsys.readouterr().err
    qrels = tmp_path / "qrels.txt"
    for text, message in (("a b", "in 3 or 4 columns"), ("a 0 b x", "the grade 'x'")):
        qrels.write_text(text, encoding="utf-8")
        file.write_text("", encoding="utf-8")
        assert run(file, "--qrels", qrels, "--out", tmp_path / "o.json") == 2
        said = capsys.readouterr().err
        assert "qrels.txt:1 " in said
        assert message in said
    assert run(tmp_path / "nowhere.jsonl", "--out", tmp_path / "o.json") == 2


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
