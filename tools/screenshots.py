"""Take the screenshots of docs/page.md, of a server that runs.

    resift serve --config …   # with resift-small and resift-nano
    python tools/screenshots.py http://127.0.0.1:8080/

Needs a Chromium, and ``playwright``.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).parents[1] / "docs/images"
LONG = (
    "sorted(d.items(), key=lambda item: item[1]) gives the pairs of a dict in the order of their "
    "values, and dict() of them is a dict again. With reverse=True the largest value comes first."
)


def main(url: str) -> None:
    """Write the images."""
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        one = _ranked(browser, url, dark=False)
        one.screenshot(path=IMAGES / "page.png")
        two = _ranked(browser, url, dark=True, other="resift-nano")
        two.locator("#results").screenshot(path=IMAGES / "page-two-models.png")
        browser.close()


def _ranked(browser: Browser, url: str, *, dark: bool, other: str = "") -> Page:
    page = browser.new_page(
        viewport={"width": 1150, "height": 800}, color_scheme="dark" if dark else "light"
    )
    page.goto(url)
    page.locator("#model option").nth(2).wait_for(state="attached")
    page.locator("#sample").click()
    lines = page.locator("#documents").input_value().splitlines()
    lines[3] = LONG
    page.locator("#documents").fill("\n".join(lines))
    page.locator("#options").evaluate("each => { each.open = true }")
    page.locator("#max_length").fill("50")
    page.locator("#other").select_option(other)
    # The first ranking loads the model.
    for _ in range(2):
        page.locator("#rank").click()
        page.locator("#results > section").nth(1 if other else 0).wait_for()
        page.locator("#stop:disabled").wait_for()
    page.locator("#options").evaluate("each => { each.open = false }")
    if not other:
        # The fields and the beginning of the results.
        page.locator("#documents").evaluate("each => { each.rows = 4 }")
        page.set_viewport_size({"width": 900, "height": 1290})
        page.evaluate("scrollTo(0, 0)")
    return page


if __name__ == "__main__":
    main(sys.argv[1])
