"""The page at ``/``, used in a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from server import chromium
from server.page_server import MODELS, PageServer, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

QUERY = "how do I sort a dictionary by value"
DOCUMENTS = [
    "Bread rises because yeast turns sugar into carbon dioxide.",
    "Use sorted with a key function to sort a dictionary by value.",
    "The museum is closed on Mondays.",
]
HOSTILE = [
    "<img src=x onerror=alert(1)><script>alert(2)</script>",
    "</textarea></td><svg onload=alert(3)>",
    "שלום עולם \u202e abc 'quoted' $(touch hurt) `touch hurt` \\ \" %s",
    "JSON\nJSON\n",
    "🎉 日本語 \u2028 \u0007 end",
    "javascript:alert(4)",
]


def fill(page: Page, query: str, documents: list[str], form: str = "JSON Lines") -> None:
    page.get_by_label(form, exact=True).check()
    lines = documents if form == "one a line" else [json.dumps(each) for each in documents]
    page.get_by_label("Query", exact=True).fill(query)
    page.get_by_label("Documents, in the order").fill("\n".join(lines))


def rank(page: Page, models: int = 1) -> None:
    page.get_by_role("button", name="Rank", exact=True).click()
    page.locator("#results > section").nth(models - 1).wait_for()
    page.locator("#stop:disabled").wait_for()


def rows(scope: Page | Locator) -> list[list[str]]:
    """The cells of each row of a table."""
    found = scope.locator("tbody tr").all()
    return [[cell.inner_text() for cell in row.locator("th, td").all()] for row in found]


def options(page: Page, **values: str) -> None:
    if not page.locator("#options").get_attribute("open"):
        page.locator("#options").evaluate("each => { each.open = true }")
    for name, value in values.items():
        field = page.locator(f"#{name}")
        if field.evaluate("each => each.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)


def test_documents_are_shown_before_and_after(page: Page) -> None:
    fill(page, QUERY, DOCUMENTS, "one a line")
    assert page.locator("#counted").inner_text() == "3 documents"
    rank(page)
    ranking = MODELS["resift-small"].rank(QUERY, DOCUMENTS)
    shown = rows(page)
    assert [row[5] for row in shown] == [DOCUMENTS[each.index] for each in ranking]
    assert [row[:3] for row in shown] == [
        [str(now), str(each.index + 1), _moved(each.index + 1 - now)]
        for now, each in enumerate(ranking, 1)
    ]
    for row, each in zip(shown, ranking, strict=True):
        assert float(row[3]) == pytest.approx(each.score, abs=1e-4)
        assert float(row[4]) == pytest.approx(each.logit, abs=1e-3)
    times = page.locator("dl").inner_text()
    for phase in ("load", "tokenize", "infer", "rank", "total"):
        assert re.search(rf"\b{phase}\s+[\d.]+ ms", times)
    assert "resift-small: 3 documents ranked; the first was 2 before." in status(page)


def _moved(steps: int) -> str:
    return f"up {steps}" if steps > 0 else f"down {-steps}" if steps < 0 else "same"


def status(page: Page) -> str:
    return page.locator("#status").inner_text()


def test_what_the_model_did_not_read_is_marked(page: Page, page_server: PageServer) -> None:
    short = "日本語 🎉 naïve " * 20
    long = "Sorted gives a list. 🎉 " * 400
    fill(page, QUERY, [short, long, "Short."])
    options(page, max_length="64")
    rank(page)
    cuts = MODELS["resift-small"].cuts(QUERY, [short, long], max_length=64)
    ranking = MODELS["resift-small"].rank(QUERY, [short, long, "Short."], max_length=64)
    lost = {each.index: each.truncated_tokens for each in ranking}
    for at, text in enumerate((short, long)):
        row = page.locator("tbody tr").nth([each.index for each in ranking].index(at))
        assert f"not read by the model: {lost[at]:,} tokens" in row.inner_text()
        if at:
            row.get_by_role("button", name=f"Show all {_units(text):,} characters").click()
        cut = cuts[at]
        assert cut is not None
        assert row.locator("mark").evaluate("each => each.textContent") == text[cut:].rstrip("\n")
        assert row.locator(".text").evaluate("each => each.textContent") == text
    assert page.locator("mark").count() == 2

    options(page, long_documents="windows")
    rank(page)
    assert page.locator("mark").count() == 0
    assert page_server.bodies[-1]["long_documents"] == "windows"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def test_a_long_documents_beginning_and_cut_are_shown(page: Page) -> None:
    text = "".join(f"Sentence {n} 🎉. " for n in range(2_000))
    fill(page, QUERY, [text])
    options(page, max_length="512")
    rank(page)
    shown = page.locator("tbody .text").evaluate("each => each.textContent")
    (cut,) = MODELS["resift-small"].cuts(QUERY, [text], max_length=512)
    assert cut is not None
    assert len(shown) < 1_000
    assert shown.startswith(text[:100])
    assert text[cut - 60 : cut + 60] in shown
    assert page.locator("mark").inner_text().startswith(text[cut : cut + 60])


def test_two_models_are_side_by_side(page: Page) -> None:
    fill(page, QUERY, DOCUMENTS)
    page.get_by_label("Model", exact=True).select_option("resift-small")
    page.get_by_label("Beside it").select_option("resift-nano")
    rank(page, 2)
    for name in MODELS:
        section = page.get_by_role("region", name=name, exact=True)
        ranking = MODELS[name].rank(QUERY, DOCUMENTS)
        assert [row[5] for row in rows(section)] == [DOCUMENTS[each.index] for each in ranking]
        assert float(rows(section)[0][4]) == pytest.approx(ranking[0].logit, abs=1e-3)
        assert name in status(page)
    boxes = [each.bounding_box() for each in page.locator("#results > section").all()]
    assert boxes[0]
    assert boxes[1]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]


def test_a_model_is_not_compared_with_itself(page: Page, page_server: PageServer) -> None:
    fill(page, QUERY, DOCUMENTS)
    page.get_by_label("Beside it").select_option("resift-small")
    page.get_by_role("button", name="Rank", exact=True).click()
    page.get_by_role("alert").filter(has_text="Both models are resift-small").wait_for()
    assert page_server.bodies == []


def test_options_are_sent_as_they_are_given(page: Page, page_server: PageServer) -> None:
    fill(page, QUERY, DOCUMENTS)
    rank(page)
    assert page_server.bodies == [{"query": QUERY, "documents": DOCUMENTS, "return_cuts": True}]
    options(page, top_n="2", max_length="100", deadline_ms="60000.5", prior="0.5")
    options(page, long_documents="truncate", normalization="none", prune="off")
    rank(page)
    assert page_server.bodies[-1] == {
        **page_server.bodies[0],
        "top_n": 2,
        "max_length": 100,
        "deadline_ms": 60000.5,
        "prior": 0.5,
        "long_documents": "truncate",
        "normalization": "none",
        "prune": "off",
    }
    assert len(rows(page)) == 2
    assert "1 of 3 documents are left out" in page.locator("#results").inner_text()
    options(page, prior="auto")
    rank(page)
    assert page_server.bodies[-1]["prior"] == "auto"


def test_an_invalid_option_is_shown_where_it_is(page: Page, page_server: PageServer) -> None:
    fill(page, QUERY, DOCUMENTS)
    options(page, prior="much")
    page.locator("#options").evaluate("each => { each.open = false }")
    page.get_by_role("button", name="Rank", exact=True).click()
    page.locator("#prior:focus").wait_for()
    assert page_server.bodies == []


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("one a line", " a \n\n b\r\nc", ["a", "b", "c"]),
        ("blank lines between", "a\nb\n\n \n\nc\n\nd\n", ["a\nb", "c", "d"]),
        ("JSON Lines", '"a\\nb"\n\n{"text": "c", "id": 5}', ["a\nb", "c"]),
    ],
)
def test_documents_are_separated_as_chosen(
    page: Page, page_server: PageServer, form: str, text: str, expected: list[str]
) -> None:
    fill(page, QUERY, [], form)
    page.get_by_label("Documents, in the order").fill(text)
    assert page.locator("#counted").inner_text() == f"{len(expected)} documents"
    rank(page)
    assert page_server.bodies[0]["documents"] == expected


def upload(page: Page, lines: list[Any], name: str = "found.jsonl") -> None:
    text = "\ufeff" + "\r\n".join(map(json.dumps, lines)) + "\r\n"
    page.get_by_label("JSON Lines file").set_input_files(
        {"name": name, "mimeType": "application/jsonl", "buffer": text.encode()}
    )
    page.wait_for_function("document.querySelector('#status, #error').textContent !== ''")


def test_a_file_of_documents_with_scores(page: Page, page_server: PageServer) -> None:
    upload(page, [{"text": each, "score": n / 2} for n, each in enumerate(DOCUMENTS)])
    assert status(page) == "found.jsonl is read: 3 documents."
    assert page.locator("#counted").inner_text() == "3 documents, with their scores"
    page.get_by_label("Query", exact=True).fill(QUERY)
    rank(page)
    assert page_server.bodies[0]["documents"] == DOCUMENTS
    assert page_server.bodies[0]["first_stage_scores"] == [0, 0.5, 1]
    assert rows(page)[0][1].split() == ["2", "score", "0.500"]

    upload(page, ["plain", {"text": "scored", "score": 1}])
    page.locator("#counted", has_text="1 without a score, so none is sent").wait_for()
    rank(page)
    assert page_server.bodies[1]["documents"] == ["plain", "scored"]
    assert "first_stage_scores" not in page_server.bodies[1]


def test_a_file_of_queries(page: Page, page_server: PageServer) -> None:
    lines = [
        {"query": "first\nof all", "documents": ["a\n\nb", "c"]},
        {"query": QUERY, "documents": [{"text": each, "score": 1.5} for each in DOCUMENTS]},
    ]
    upload(page, lines)
    assert status(page) == "found.jsonl is read: 2 queries."
    rank(page)
    assert page_server.bodies[0]["query"] == "first\nof all"
    assert page_server.bodies[0]["documents"] == ["a\n\nb", "c"]
    page.get_by_label("Query of the file").select_option(QUERY)
    rank(page)
    assert page_server.bodies[1]["query"] == QUERY
    assert page_server.bodies[1]["first_stage_scores"] == [1.5] * 3


def test_a_dropped_file_is_read(page: Page) -> None:
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(['"one"\\n"two"'], "dropped.jsonl"));
          const drop = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
          document.querySelector("h1").dispatchEvent(drop);
        }"""
    )
    page.locator("#status", has_text="dropped.jsonl is read: 2 documents.").wait_for()
    assert page.get_by_label("JSON Lines", exact=True).is_checked()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2 isn’t JSON"),
        ("7", "line 2 must be a string, or an object"),
        ('{"text": "a", "score": "high"}', "line 2: “score” must be a number"),
        ('{"query": "q", "documents": "a"}', "line 2: “query” must be a string"),
        ('{"query": "q", "documents": ["a"]}', "Some lines have a query"),
    ],
)
def test_a_line_that_is_wrong_is_named(page: Page, line: str, said: str) -> None:
    fill(page, QUERY, [])
    page.get_by_label("Documents, in the order").fill(f'"a"\n{line}')
    page.get_by_role("button", name="Rank", exact=True).click()
    page.get_by_role("alert").filter(has_text=said).wait_for()
    assert page.locator("#results").inner_text() == ""


def test_hostile_documents_are_texts(page: Page, page_server: PageServer) -> None:
    fill(page, HOSTILE[0], HOSTILE)
    rank(page)
    shown = {row.evaluate("each => each.textContent") for row in page.locator("td .text").all()}
    assert shown == set(HOSTILE)
    assert page.locator("#results").locator("img, script, svg, a").count() == 0
    assert page_server.bodies[0]["documents"] == HOSTILE
    directions = page.locator("td .text").evaluate_all(
        "all => all.map(each => getComputedStyle(each).direction)"
    )
    assert sorted(directions) == ["ltr"] * 5 + ["rtl"]


def test_a_thousand_documents_leave_the_page_responsive(page: Page) -> None:
    fill(page, QUERY, [f"Document {n} sorts {n % 7} things." for n in range(1_000)])
    page.get_by_label("Model", exact=True).select_option("resift-nano")
    page.evaluate(
        """() => {
          globalThis.longest = 0;
          let last = performance.now();
          setInterval(() => {
            const now = performance.now();
            globalThis.longest = Math.max(globalThis.longest, now - last);
            last = now;
          }, 10);
        }"""
    )
    rank(page)
    assert page.locator("tbody tr").count() == 1_000
    start = time.perf_counter()
    page.get_by_role("button", name="Before").click()
    assert page.locator("tbody tr td").first.inner_text() == "1"
    assert time.perf_counter() - start < 5
    # Generous, as the model has the processors to itself while the page waits for it.
    assert page.evaluate("globalThis.longest") < 3_000


def test_a_very_long_document(page: Page) -> None:
    text = "word " * 200_000
    fill(page, QUERY, [text, "short"])
    rank(page)
    row = page.locator("tbody tr", has_text="not read by the model")
    assert row.locator(".text").evaluate("each => each.textContent.length") < 1_000
    row.get_by_role("button", name="Show all").click()
    assert row.locator(".text").evaluate("each => each.textContent.length") == len(text)


def test_a_table_is_sorted_as_its_heads_say(page: Page) -> None:
    fill(page, QUERY, DOCUMENTS)
    rank(page)
    ranked = rows(page)
    page.get_by_role("button", name="Before").click()
    assert [row[5] for row in rows(page)] == DOCUMENTS
    assert page.locator("th[aria-sort]").all_inner_texts() == ["Before"]
    assert "in the order of “Before”" in page.locator("caption").inner_text()
    page.get_by_role("button", name="Score").click()
    assert rows(page) == ranked
    assert page.locator("th[aria-sort=descending]").all_inner_texts() == ["Score"]


# Where there is none, Python's is the only one that is run.
CURL = shutil.which("curl")


@pytest.mark.parametrize("language", ["curl", "Python"])
@pytest.mark.parametrize("key", [None, "a'secret\"$HOME"])
def test_the_request_as_code_gives_the_same_answer(
    page: Page, page_server: PageServer, tmp_path: Path, language: str, key: str | None
) -> None:
    if language == "curl" and not (CURL and shutil.which("bash")):
        pytest.skip("no curl, or no bash")
    page_server.key = key
    if key:
        page.get_by_label("API key").fill(key)
    documents = [*HOSTILE, "x" * 200_000]
    fill(page, f'it\'s {QUERY} \\ "$HOME" 🎉', documents)
    options(page, top_n="5", prior="auto")
    rank(page)
    page.locator("summary", has_text=f"as {language}").click()
    text = page.get_by_role("region", name=f"as {language}").evaluate("each => each.textContent")
    assert key is None or key not in text
    assert "\u202e" not in text
    script = tmp_path / "script"
    script.write_text(text, encoding="utf-8")
    program = ["bash"] if language == "curl" else [sys.executable]
    done = subprocess.run(
        [*program, str(script)],
        cwd=tmp_path,
        env={**os.environ, "RESIFT_API_KEY": key or ""},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    sent, again = page_server.bodies
    assert again == sent
    (answer,) = json.loads(done.stdout)["rankings"]
    assert [str(each["index"] + 1) for each in answer["results"]] == [row[1] for row in rows(page)]
    assert [path.name for path in tmp_path.iterdir()] == ["script"]


def test_code_is_copied(browser: Browser, page_server: PageServer) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    with chromium.opened(browser, page_server.url, permissions=permissions) as page:
        page.get_by_role("button", name="Use the sample").click()
        rank(page)
        for name in ("as curl", "as Python"):
            page.locator("summary", has_text=name).click()
            page.get_by_role("button", name=f"Copy {name}").click()
            page.locator("details[open] [role=status]", has_text="copied").wait_for()
            text = page.get_by_role("region", name=name).evaluate("each => each.textContent")
            assert page.evaluate("navigator.clipboard.readText()") == text
            page.locator("summary", has_text=name).click()


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (
            (429, {"Retry-After": "7"}, {"error": "full", "error_type": "Overloaded"}),
            "The server is busy. full. Try again in 7 s (HTTP 429, Overloaded)",
        ),
        ((500, {}, "broken <b>"), "broken <b>"),
        ((200, {}, ["not a ranking"]), "The server’s answer isn’t a ranking."),
    ],
)
def test_errors_of_the_server_are_readable(
    page: Page, page_server: PageServer, failure: Any, said: str
) -> None:
    page_server.failure = failure
    fill(page, QUERY, DOCUMENTS)
    page.get_by_role("button", name="Rank", exact=True).click()
    page.locator("#error:not(:empty)").wait_for()
    assert said in page.get_by_role("alert").inner_text()
    page_server.failure = None
    rank(page)
    assert page.get_by_role("alert").inner_text() == ""


def test_what_the_engine_refuses_is_said(page: Page) -> None:
    fill(page, QUERY, DOCUMENTS)
    options(page, max_length="1000000")
    page.get_by_role("button", name="Rank", exact=True).click()
    alert = page.get_by_role("alert").filter(has_text="max_length=1000000 is more than")
    alert.wait_for()
    assert "HTTP 422, Validation" in alert.inner_text()


def test_a_server_that_is_gone_is_an_error(browser: Browser) -> None:
    with serving(MODELS) as server, chromium.opened(browser, server.url) as page:
        page.get_by_role("button", name="Use the sample").click()
        page.route("**/v1/rank", lambda route: route.abort())
        page.get_by_role("button", name="Rank", exact=True).click()
        page.get_by_role("alert").filter(has_text="can’t be reached").wait_for()


def test_a_key_is_sent_and_kept_nowhere(browser: Browser) -> None:
    with serving(MODELS) as server:
        server.key = "secret-key"
        with chromium.opened(browser, server.url) as page:
            page.get_by_role("alert").filter(has_text="asks for an API key").wait_for()
            page.get_by_label("API key").fill("secret-key")
            page.get_by_label("API key").press("Tab")
            page.locator("#model option[value=resift-nano]").wait_for(state="attached")
            assert page.get_by_role("alert").inner_text() == ""
            page.get_by_role("button", name="Use the sample").click()
            rank(page)
            assert "secret-key" not in page.content()
            kept = "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])"
            assert page.evaluate(kept) == json.dumps(
                [{}, {}, "", server.url], separators=(",", ":")
            )
            page.reload()
            assert page.get_by_label("API key").input_value() == ""


def test_the_page_works_under_a_prefix(browser: Browser) -> None:
    with (
        serving(MODELS, prefix="/behind/a/proxy") as server,
        chromium.opened(browser, server.url) as page,
    ):
        page.get_by_role("button", name="Use the sample").click()
        rank(page)
        page.locator("summary", has_text="as curl").click()
        code = page.get_by_role("region", name="as curl").inner_text()
        assert f"'{server.url}v1/rank'" in code


def test_ranking_can_be_stopped(page: Page) -> None:
    page.get_by_role("button", name="Use the sample").click()
    page.route("**/v1/rank", lambda _: None)
    page.get_by_role("button", name="Rank", exact=True).click()
    page.get_by_role("button", name="Stop").click()
    page.locator("#status", has_text="Stopped.").wait_for()
    assert page.locator("#error").inner_text() == ""
    page.unroute("**/v1/rank")
    rank(page)
