"""The page by keyboard, for screen readers, in the dark and on narrow screens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from server import chromium
from server.page.server import PageServer
from server.page.using import DOCUMENTS, QUERY, fill, options, rank, rows, status

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOCUSABLE = (
    "a[href], button:not(:disabled), input:not([type=radio]), input[type=radio]:checked, select, "
    "textarea, summary, [tabindex='0']"
)


def prepared(page: Page) -> None:
    """Results of two models, with a cut document and all that folds open."""
    fill(page, QUERY, [*DOCUMENTS, "Sorted gives a list. " * 80])
    options(page, max_length="64")
    page.get_by_label("Beside it").select_option("resift-nano")
    rank(page, 2)
    page.locator("details").evaluate_all("all => all.forEach(each => { each.open = true })")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("state", ["empty", "results", "error"])
def test_axe_finds_nothing(
    browser: Browser, page_server: PageServer, scheme: Any, width: int, state: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    # It is put into the page, which the page forbids.
    with chromium.opened(browser, page_server.url, color_scheme=scheme, bypass_csp=True) as page:
        page.set_viewport_size({"width": width, "height": 900})
        if state == "results":
            prepared(page)
        elif state == "error":
            page_server.failure = (500, {}, {"error": "broken", "error_type": "Backend"})
            fill(page, QUERY, DOCUMENTS)
            page.get_by_role("button", name="Rank", exact=True).click()
            page.locator("#error:not(:empty)").wait_for()
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
        # Unlike what axe says of it, a page that is wider than its window is hard to read.
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_from_the_query_to_a_result_by_keyboard_alone(page: Page) -> None:
    keyboard = page.keyboard
    _tab_to(page, "#query")
    keyboard.type(QUERY)
    keyboard.press("Tab")
    # One a line is chosen; the arrows choose among the three.
    keyboard.press("ArrowDown")
    assert page.get_by_label("blank lines between").is_checked()
    keyboard.press("ArrowUp")
    _tab_to(page, "#documents")
    for each in DOCUMENTS:
        keyboard.type(each)
        keyboard.press("Enter")
    _tab_to(page, "#other")
    keyboard.type("resift-nano")
    _tab_to(page, "#options summary")
    keyboard.press("Enter")
    _tab_to(page, "#top_n")
    keyboard.type("2")
    _tab_to(page, "#rank")
    keyboard.press("Enter")
    page.locator("#results > section").nth(1).wait_for()
    page.locator("#status", has_text="resift-nano: 2 documents ranked").wait_for()
    assert len(rows(page)) == 4
    assert page.locator("#rank:focus").count() == 1
    _tab_to(page, "#results th:nth-child(2) button")
    keyboard.press("Enter")
    assert page.locator("th[aria-sort]").first.inner_text() == "Before"
    _tab_to(page, "#results summary")
    keyboard.press("Enter")
    assert page.get_by_role("region", name="as curl").first.is_visible()


def _tab_to(page: Page, selector: str) -> None:
    for _ in range(40):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"{selector} isn't reached by the key Tab")


def test_control_and_enter_rank_from_a_field(page: Page) -> None:
    fill(page, QUERY, DOCUMENTS)
    page.locator("#documents").press("Control+Enter")
    page.locator("#results > section").wait_for()


def test_the_key_tab_reaches_everything_and_shows_where_it_is(page: Page) -> None:
    prepared(page)
    expected = page.locator(FOCUSABLE).evaluate_all(
        "all => all.filter(each => each.checkVisibility()).length"
    )
    page.locator("#query").focus()
    page.keyboard.press("Shift+Tab")
    page.evaluate("globalThis.reached = new Set()")
    for _ in range(expected):
        shown = page.evaluate(
            """() => {
              const at = document.activeElement;
              globalThis.reached.add(at);
              const style = getComputedStyle(at);
              return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
            }"""
        )
        assert shown, page.evaluate("document.activeElement.outerHTML")
        page.keyboard.press("Tab")
    assert page.evaluate("globalThis.reached.size") == expected


def test_every_control_has_a_name(page: Page) -> None:
    prepared(page)
    snapshot = page.locator("body").aria_snapshot()
    roles = ("button", "textbox", "combobox", "radio", "spinbutton", "table", "region", "group")
    for line in snapshot.splitlines():
        words = line.strip().removeprefix("- ").removesuffix(":").split(" ", 1)
        if words[0] in roles and len(words) == 1 and words[0] != "group":
            pytest.fail(f"{line!r} has no name in\n{snapshot}")
    assert 'table "Ranked by resift-small, best first"' in snapshot
    for landmark in ("banner", "main", 'form "What to rank"', 'region "Results"'):
        assert f"- {landmark}" in snapshot


def test_results_and_errors_are_announced(page: Page) -> None:
    page.evaluate(
        """() => {
          globalThis.heard = [];
          for (const region of document.querySelectorAll("[role=status], [role=alert]")) {
            const hear = () => globalThis.heard.push([region.role, region.textContent]);
            new MutationObserver(hear).observe(region, {childList: true, characterData: true});
          }
        }"""
    )
    page.get_by_label("Query", exact=True).fill(QUERY)
    page.get_by_role("button", name="Rank", exact=True).click()
    page.locator("#error:not(:empty)").wait_for()
    fill(page, QUERY, DOCUMENTS)
    rank(page)
    heard = [tuple(each) for each in page.evaluate("globalThis.heard") if each[1]]
    assert heard[0] == ("alert", "There are no documents: paste some, or use the sample.")
    assert heard[1] == ("status", "Ranking 3 documents …")
    assert heard[-1] == ("status", status(page))


def test_nothing_moves_for_those_who_asked_for_that(
    browser: Browser, page_server: PageServer
) -> None:
    with chromium.opened(browser, page_server.url, reduced_motion="reduce") as page:
        moving = page.locator("*").evaluate_all(
            """all => all.filter(each => {
              const style = getComputedStyle(each);
              return parseFloat(style.transitionDuration) || style.animationName !== "none";
            }).length"""
        )
        assert moving == 0
