"""Fixtures for the server's tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from server import chromium
from server.page_server import PageServer, serving

from resift import Reranker

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MODELS = {name: Reranker(name) for name in ("resift-small", "resift-nano")}


@pytest.fixture
def page_server() -> Iterator[PageServer]:
    """A server with the bundled models."""
    with serving(MODELS) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with chromium.started() as browser:
        yield browser


@pytest.fixture
def page(page_server: PageServer, browser: Browser) -> Iterator[Page]:
    """The page in the browser."""
    with chromium.opened(browser, page_server.url) as page:
        yield page
