"""The page, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from server import chromium
from server.page.server import PageServer, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="session")
def paged() -> Iterator[PageServer]:
    """A server with the bundled models, for all tests of the page."""
    with serving() as found:
        yield found


@pytest.fixture
def page_server(paged: PageServer) -> PageServer:
    """The same, as new."""
    paged.bodies, paged.failure, paged.key = [], None, None
    return paged


# While it runs, its own event loop does, and other tests couldn't run theirs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with chromium.started() as browser:
        yield browser


@pytest.fixture
def page(page_server: PageServer, browser: Browser) -> Iterator[Page]:
    """The page in the browser."""
    with chromium.opened(browser, page_server.url) as page:
        yield page
