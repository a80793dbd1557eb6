"""A real browser for the page's tests: Chromium, which reaches nothing but loopback."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from installed import require

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Error, Page, Request

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@contextmanager
def started() -> Iterator[Browser]:
    """The browser. Skips where there is none."""
    require("playwright", "axe_playwright_python")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium")
    from playwright.sync_api import sync_playwright

    # Its sandbox needs rights that containers don't have; the pages that it gets are ours.
    arguments = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Faults:
    """Notes what a page must not do."""

    url: str
    found: list[str] = field(default_factory=list)

    def request(self, asked: Request) -> None:
        if urlsplit(asked.url).netloc != urlsplit(self.url).netloc:
            self.found.append(f"asked for {asked.url}")

    def said(self, message: ConsoleMessage) -> None:
        # A failed answer is the server's, and Chromium says each in its console.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.found.append(message.text)

    def raised(self, error: Error) -> None:
        self.found.append(f"error: {error}")

    def dialog(self, dialog: Dialog) -> None:
        self.found.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """The page at ``url``. Fails where it asked another host, or raised or logged an error."""
    faults = Faults(url)
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.on("request", faults.request)
    page.on("console", faults.said)
    page.on("pageerror", faults.raised)
    page.on("dialog", faults.dialog)
    page.goto(url)
    try:
        yield page
        assert faults.found == []
    finally:
        context.close()
