"""``resift evaluate``: what it reads, what it writes, and the page in a real browser."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from server import chromium
from trials.made import folder, write

from resift import InvalidRequestError, Reranker
from resift.cli.main import main
from resift.trials import Report, evaluate, read_collection
from resift.trials.rankers import Rankers

HOSTILE = "</script></details><img src=x onerror=alert(1)><script>alert(2)</script>\x1b[31m"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("made") / "c", queries=12, documents=60, found=12)


@pytest.fixture(scope="module")
def report(made: Path) -> Report:
    rankers: dict[str, str | Reranker | None] = {
        "none": None,
        HOSTILE: "resift-nano",
        "fast": "resift-nano,prior=auto",
    }
    return evaluate(read_collection(made), rankers, timed=1, tried=2)


def test_a_folder_is_read(made: Path, tmp_path: Path) -> None:
    found = read_collection(made)
    assert len(found.queries) == 12
    assert found.depth == 12
    assert len(found.corpus.ids) == 60
    shutil.copytree(made, tmp_path / "zipped")
    for path in [each for each in (tmp_path / "zipped").rglob("*") if each.is_file()]:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    again = read_collection(tmp_path / "zipped")
    assert (again.queries, again.candidates) == (found.queries, found.candidates)
    few = read_collection(made, queries=4, depth=3)
    assert (len(few.queries), few.depth) == (4, 3)
    assert few.queries == read_collection(made, queries=4).queries


def test_files_lines_and_functions_are_read(made: Path, tmp_path: Path) -> None:
    found = read_collection(made)
    trec = read_collection(
        run=made / "run.m.txt",
        qrels=made / "qrels/test.tsv",
        topics=made / "queries.jsonl",
        documents=made / "corpus.jsonl",
    )
    assert trec.candidates == found.candidates
    rows: list[dict[str, Any]] = [
        {
            "query_id": query,
            "query": text,
            "candidates": [
                {
                    "id": x.id,
                    "text": found.documents[x.id].text,
                    "score": x.score,
                    "grade": found.grade(query, x.id),
                }
                for x in found.found(query)
            ],
        }
        for query, text in found.queries.items()
    ]
    write(tmp_path / "t.jsonl", rows)
    recorded = read_collection(tmp_path / "t.jsonl")
    assert recorded.candidates == found.candidates
    assert recorded.grades == found.grades
    by_text = {text: query for query, text in found.queries.items()}

    def first_stage(query: str) -> list[tuple[str, str, float | None]]:
        return [(x.id, found.documents[x.id].text, x.score) for x in found.found(by_text[query])]

    asked = read_collection(made, first_stage=first_stage)
    assert asked.candidates == found.candidates
    assert asked.seconds.keys() == found.queries.keys()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("run.m.txt", "q0 Q0 d1 1\n", "run.m.txt:1 must be a query's id"),
        ("queries.jsonl", "{\n", "queries.jsonl:1 isn't JSON"),
        (
            "qrels/test.tsv",
            "query-id\tcorpus-id\tscore\nq0\td0\tgood\n",
            "test.tsv:2 has the grade|no judgements",
        ),
        *(
            (
                "qrels/test.tsv",
                f"query-id\tcorpus-id\tscore\nq0\td0\t1\nq1\td1\t{grade}\n",
                "test.tsv:3 has the grade",
            )
            for grade in ("0.5", "inf", "nan")
        ),
    ],
)
def test_files_that_are_wrong_are_named(
    made: Path, tmp_path: Path, name: str, text: str, said: str
) -> None:
    shutil.copytree(made, tmp_path / "c")
    (tmp_path / "c" / name).write_text(text, encoding="utf-8")
    with pytest.raises(InvalidRequestError, match=said):
        read_collection(tmp_path / "c")


def test_a_broken_archive_is_named(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "c")
    whole = gzip.compress((made / "corpus.jsonl").read_bytes())
    (tmp_path / "c/corpus.jsonl").unlink()
    broken = bytearray(whole)
    broken[30:60] = bytes(range(30))
    for content in (whole[:-20], whole[:10], bytes(broken), b"no archive"):
        (tmp_path / "c/corpus.jsonl.gz").write_bytes(content)
        with pytest.raises(InvalidRequestError, match=r"corpus.jsonl.gz"):
            read_collection(tmp_path / "c")


def test_ids_are_any_text_without_spaces(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "c")
    odd = "\u00a0\u2028\u3000é#<&>'\""
    for name in ("run.m.txt", "qrels/test.tsv", "corpus.jsonl"):
        text = (made / name).read_text(encoding="utf-8")
        quoted = json.dumps(odd)[1:-1] if name == "corpus.jsonl" else odd
        changed = re.sub(r"\bd(\d+)\b", lambda m: f"d{quoted}{m[1]}", text)  # noqa: B023
        (tmp_path / "c" / name).write_text(changed, encoding="utf-8")
    plain, found = read_collection(made), read_collection(tmp_path / "c")
    assert [[x.id.replace(odd, "") for x in each] for each in found.candidates.values()] == [
        [x.id for x in each] for each in plain.candidates.values()
    ]
    assert found.grade("q3", f"d{odd}3") == 1
    assert found.texts("q3") == plain.texts("q3")


def test_without_a_first_stage_the_ways_are_named(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made, tmp_path / "c")
    (tmp_path / "c/run.m.txt").unlink()
    assert main(["evaluate", str(tmp_path / "c"), "--out", str(tmp_path / "r")]) == 2
    said = capsys.readouterr().err
    assert "--run" in said
    assert "--first-stage" in said
    assert not (tmp_path / "r").exists()


def test_rankers_are_read() -> None:
    rankers = Rankers()
    small = rankers.read("small=resift-small,prune=auto,prior=0.2")
    assert small.reranker is not None
    assert (small.name, small.prunes, small.uses_order) == ("small", True, True)
    assert rankers.read("none").reranker is None
    assert rankers.read("tei+http://127.0.0.1:9?a=b,timeout=2").name.startswith("tei+http")
    for wrong in ("x=resift-small,pruen=auto", "nope+http://127.0.0.1:9", "=resift-small"):
        with pytest.raises(InvalidRequestError):
            rankers.read(wrong)


def test_figures_are_those_of_the_rankings(report: Report, made: Path) -> None:
    first, alone, with_prior = report.runs
    assert first.means is not None
    assert alone.means is not None
    collection = read_collection(made)
    reranker = Reranker("resift-nano")
    found = 0.0
    for query, text in collection.queries.items():
        order = [each.index for each in reranker.rank(text, collection.texts(query))]
        rank = [collection.found(query)[place].id for place in order].index(f"d{query[1:]}") + 1
        found += 1 / rank if rank <= 10 else 0
    assert alone.means["RR@10"] == pytest.approx(found / 12)
    assert alone.means["nDCG@10"] > first.means["nDCG@10"]
    curve = next(each for each in report.curves if each.ranker == HOSTILE)
    assert curve.depths[-1] == 12
    assert curve.quality[-1] == pytest.approx(alone.means["nDCG@10"])
    assert with_prior.agreement is not None
    assert alone.agreement is not None
    assert (with_prior.agreement.tau or 0) > (alone.agreement.tau or 0)
    assert alone.stability is not None
    assert alone.stability.shuffled < 0.01


def test_the_report_is_written(report: Report, tmp_path: Path) -> None:
    report.write(tmp_path)
    content = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert content["rankers"][1]["measures"]["nDCG@10"] == report.runs[1].means["nDCG@10"]  # type: ignore[index]
    assert content["rankers"][1]["by_query"].keys() == content["measures"].keys()
    for name, values in content["rankers"][1]["by_query"].items():
        assert len(values) == 12
        mean = content["rankers"][1]["measures"][name]
        assert sum(values.values()) / 12 == pytest.approx(mean), name
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page.replace('xlink:href="#', ""))
    assert "\x1b" not in report.to_text() + page
    assert report.to_html() == page


def test_without_judgements_it_says_so(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "c")
    shutil.rmtree(tmp_path / "c/qrels")
    found = evaluate(read_collection(tmp_path / "c", queries=3), {"n": None, "x": "resift-nano"})
    assert "resift label" in found.advice
    assert found.runs[1].agreement is not None
    assert found.comparisons == {}
    assert "Agreement" in found.to_html()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/report.html"
    server.shutdown()
    server.server_close()


def test_the_page_works_in_a_browser(report: Report, tmp_path: Path, served: str) -> None:
    report.write(tmp_path)
    with chromium.started() as browser:
        from axe_playwright_python.sync_playwright import Axe

        for scheme in ("light", "dark"):
            with chromium.opened(browser, served, color_scheme=scheme) as page:
                assert page.locator("h1").inner_text() == "Evaluation of c"
                # By keyboard: the first list of explanations opens.
                page.locator("summary").first.focus()
                page.keyboard.press("Enter")
                assert page.locator("details").first.get_attribute("open") is not None
                page.evaluate(
                    "for (const each of document.querySelectorAll('details')) each.open = true"
                )
                violations = Axe().run(page).response["violations"]
                assert [(each["id"], each["nodes"][0]["html"]) for each in violations] == []
                assert page.evaluate("performance.getEntriesByType('resource').length") == 0
