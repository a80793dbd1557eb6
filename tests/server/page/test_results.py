"""Results on the page at ``/``, in a real browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from server.page.server import MODELS, PageServer
from server.page.using import DOCUMENTS, HOSTILE, QUERY, fill, options, rank, rows, status

if TYPE_CHECKING:
    from playwright.sync_api import Page


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
    browser = page.context.new_cdp_session(page)
    # Its own time on a processor, which the model and other work have to themselves meanwhile.
    browser.send("Performance.enable", {"timeDomain": "threadTicks"})

    def seconds() -> float:
        metrics = browser.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))

    page.evaluate(
        """() => {
          globalThis.turns = 0;
          const stop = document.querySelector("#stop");
          setInterval(() => { globalThis.turns += stop.disabled ? 0 : 1; }, 10);
        }"""
    )
    start = seconds()
    rank(page)
    assert page.locator("tbody tr").count() == 1_000
    # It goes on while it waits for the ranking.
    assert page.evaluate("globalThis.turns") >= 3
    ranked = seconds()
    page.get_by_role("button", name="Before").click()
    assert page.locator("tbody tr td").first.inner_text() == "1"
    assert ranked - start < 3
    assert seconds() - ranked < 1


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
