"""Requests of the page at ``/``: as code, with a key, stopped, and failed, in a real browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from server import chromium
from server.page.server import MODELS, PageServer, serving
from server.page.using import DOCUMENTS, HOSTILE, QUERY, fill, options, rank, rows

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


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
