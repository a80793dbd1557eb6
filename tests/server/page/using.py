"""Actions of the page's user, and readings of what it shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


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


def status(page: Page) -> str:
    return page.locator("#status").inner_text()
